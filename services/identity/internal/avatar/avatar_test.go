package avatar

import (
	"bytes"
	"encoding/binary"
	"hash/crc32"
	"image"
	"image/color"
	"image/color/palette"
	"image/gif"
	"image/jpeg"
	"image/png"
	"io"
	"testing"

	"github.com/stretchr/testify/require"
)

// halves is a picture whose left half is red, and whose right half is blue.
func halves(width, height int) *image.RGBA {
	img := image.NewRGBA(image.Rect(0, 0, width, height))
	for y := range height {
		for x := range width {
			img.SetRGBA(x, y, color.RGBA{R: 255, A: 255})
			if 2*x >= width {
				img.SetRGBA(x, y, color.RGBA{B: 255, A: 255})
			}
		}
	}
	return img
}

func encoded(t *testing.T, encode func(io.Writer, image.Image) error, img image.Image) []byte {
	var b bytes.Buffer
	require.NoError(t, encode(&b, img))
	return b.Bytes()
}

func asJPEG(w io.Writer, img image.Image) error { return jpeg.Encode(w, img, nil) }
func asGIF(w io.Writer, img image.Image) error {
	return gif.Encode(w, img, &gif.Options{NumColors: 256})
}

// claiming is a PNG that says that it has this size.
func claiming(content []byte, width, height uint32) []byte {
	content = bytes.Clone(content)
	binary.BigEndian.PutUint32(content[16:], width)
	binary.BigEndian.PutUint32(content[20:], height)
	binary.BigEndian.PutUint32(content[29:], crc32.ChecksumIEEE(content[12:29]))
	return content
}

// chunk is a part of a PNG.
func chunk(kind, text string) []byte {
	body := []byte(kind + text)
	c := binary.BigEndian.AppendUint32(nil, uint32(len(text)))
	return binary.BigEndian.AppendUint32(append(c, body...), crc32.ChecksumIEEE(body))
}

func TestDraw(t *testing.T) {
	t.Parallel()

	t.Run("TheSquareInTheMiddleIsDrawn", func(t *testing.T) {
		t.Parallel()
		for name, content := range map[string][]byte{
			"png":       encoded(t, png.Encode, halves(600, 300)),
			"jpeg":      encoded(t, asJPEG, halves(301, 1024)),
			"gif":       encoded(t, asGIF, halves(512, 512)),
			"small":     encoded(t, png.Encode, halves(2, 2)),
			"odd":       encoded(t, png.Encode, halves(258, 257)),
			"one pixel": encoded(t, png.Encode, image.NewGray(image.Rect(0, 0, 1, 1))),
		} {
			drawn, err := Draw(content)
			require.NoError(t, err, name)
			img, err := png.Decode(bytes.NewReader(drawn))
			require.NoError(t, err, name)
			require.Equal(t, image.Rect(0, 0, 256, 256), img.Bounds(), name)
			if name == "one pixel" {
				continue
			}
			for _, y := range []int{0, 255} {
				red, _, none, _ := img.At(10, y).RGBA()
				require.Greater(t, red, none+0x8000, name)
				none, _, blue, _ := img.At(245, y).RGBA()
				require.Greater(t, blue, none+0x8000, name)
			}
		}
	})
	t.Run("APixelIsTheMeanOfThoseInItsPlace", func(t *testing.T) {
		t.Parallel()
		img := image.NewRGBA(image.Rect(0, 0, 512, 512))
		for i := range 512 * 512 {
			value := uint8(255 * (i % 2)) // stripes of one pixel, which are grey from afar
			img.SetRGBA(i%512, i/512, color.RGBA{R: value, G: value, B: value, A: 255})
		}
		small := scale(img)
		require.Equal(t, color.RGBA{R: 128, G: 128, B: 128, A: 255}, small.RGBAAt(100, 100))
		require.Equal(t, color.RGBA{R: 128, G: 128, B: 128, A: 255}, small.RGBAAt(255, 255))
	})
	t.Run("APictureThatDoesNotBeginAtZeroIsDrawn", func(t *testing.T) {
		t.Parallel()
		img := image.NewPaletted(image.Rect(30, 40, 60, 50), palette.Plan9)
		for i := range img.Pix {
			img.Pix[i] = uint8(color.Palette(palette.Plan9).Index(color.White))
		}
		require.Equal(t, color.RGBA{R: 255, G: 255, B: 255, A: 255}, scale(img).RGBAAt(255, 255))
	})
	t.Run("NothingElseOfTheFileIsKept", func(t *testing.T) {
		t.Parallel()
		plain := encoded(t, asJPEG, halves(64, 64))
		exif := "Exif\x00\x00MM\x00*GPS 51.5007 N 0.1246 W"
		segment := append([]byte{0xff, 0xe1, 0, byte(2 + len(exif))}, exif...)
		photo := append(append(bytes.Clone(plain[:2]), segment...), plain[2:]...)
		picture := encoded(t, png.Encode, halves(64, 64))
		text := append(append(bytes.Clone(picture[:33]), chunk("tEXt", "Author\x00GPS Ada")...), picture[33:]...)
		text = append(text, "<script>GPS</script>"...)
		for clean, content := range map[string][]byte{string(plain): photo, string(picture): text} {
			require.Contains(t, string(content), "GPS")
			drawn, err := Draw(content)
			require.NoError(t, err)
			require.NotContains(t, string(drawn), "GPS")
			same, err := Draw([]byte(clean))
			require.NoError(t, err)
			require.Equal(t, same, drawn, "what else it said changes nothing")
		}
	})
	t.Run("WhatIsTooLargeIsRefusedBeforeItIsUnpacked", func(t *testing.T) {
		t.Parallel()
		small := encoded(t, png.Encode, halves(8, 8))
		for _, size := range [][2]uint32{{4097, 8}, {8, 4097}, {50000, 50000}, {1<<31 - 1, 1}} {
			_, err := Draw(claiming(small, size[0], size[1]))
			require.ErrorIs(t, err, ErrLarge)
		}
		bomb := encoded(t, asGIF, halves(8, 8))
		binary.LittleEndian.PutUint16(bomb[6:], 65535)
		_, err := Draw(bomb)
		require.ErrorIs(t, err, ErrLarge)
	})
	t.Run("WhatIsDamagedIsRefused", func(t *testing.T) {
		t.Parallel()
		for _, content := range [][]byte{encoded(t, png.Encode, halves(64, 64)), encoded(t, asJPEG, halves(64, 64)), encoded(t, asGIF, halves(64, 64))} {
			for _, length := range []int{12, len(content) / 2, len(content) - 30} {
				_, err := Draw(content[:length])
				require.ErrorIs(t, err, ErrBroken)
			}
		}
		_, err := Draw(claiming(encoded(t, png.Encode, halves(8, 8)), 4096, 4096))
		require.ErrorIs(t, err, ErrBroken)
		_, err = Draw(claiming(encoded(t, png.Encode, halves(8, 8)), 0, 8))
		require.ErrorIs(t, err, ErrBroken)
	})
	t.Run("WhatIsNoPictureIsRefused", func(t *testing.T) {
		t.Parallel()
		for _, content := range []string{
			"", "x", `<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>`, `<?xml version="1.0"?><svg/>`, "<!DOCTYPE html><html></html>",
			"%PDF-1.7", "BM12345678901234567890", "RIFF\x24\x00\x00\x00WEBPVP8 ", "PK\x03\x04",
		} {
			_, err := Draw([]byte(content))
			require.ErrorIs(t, err, ErrType, content)
		}
	})
}

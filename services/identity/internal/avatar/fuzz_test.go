package avatar

import (
	"bytes"
	"image"
	"image/color"
	"image/gif"
	"image/jpeg"
	"image/png"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/rosterhq/roster/pkg/fault"
)

// FuzzDraw draws what strangers send.
func FuzzDraw(f *testing.F) {
	picture := image.NewPaletted(image.Rect(0, 0, 9, 5), color.Palette{color.White, color.Black})
	for _, write := range []func(*bytes.Buffer) error{
		func(b *bytes.Buffer) error { return png.Encode(b, picture) },
		func(b *bytes.Buffer) error { return jpeg.Encode(b, picture, nil) },
		func(b *bytes.Buffer) error { return gif.Encode(b, picture, nil) },
	} {
		var file bytes.Buffer
		require.NoError(f, write(&file))
		f.Add(file.Bytes())
		f.Add(file.Bytes()[:file.Len()/2])
	}
	f.Fuzz(func(t *testing.T, content []byte) {
		drawn, err := Draw(content)
		if err != nil {
			require.NotNil(t, fault.From(err), "%v", err)
			return
		}
		size, err := png.DecodeConfig(bytes.NewReader(drawn))
		require.NoError(t, err)
		require.Equal(t, []int{side, side}, []int{size.Width, size.Height})
	})
}

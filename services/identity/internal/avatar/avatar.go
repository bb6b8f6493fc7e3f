// Package avatar draws the pictures of people anew, so that what is shown holds nothing of the file that was sent but what it
// looked like. It does no I/O.
package avatar

import (
	"bytes"
	"crypto/rand"
	"fmt"
	"image"
	"image/draw"
	"image/gif"
	"image/jpeg"
	"image/png"
	"io"
	"net/http"

	"github.com/rosterhq/roster/pkg/fault"
	errorv1 "github.com/rosterhq/roster/pkg/gen/roster/error/v1"
)

const (
	side     = 256  // of what is drawn
	mostSide = 4096 // of what is taken
)

// Refusals.
var (
	ErrType   = fault.New(errorv1.Reason_REASON_AVATAR_REFUSED, "This is no PNG, JPEG or GIF. Choose a picture of one of these kinds.")
	ErrBroken = fault.New(errorv1.Reason_REASON_AVATAR_REFUSED, "The picture is damaged, or was cut short. Choose another file.")
	ErrLarge  = fault.Newf(errorv1.Reason_REASON_AVATAR_REFUSED, "A picture has at most %d pixels on a side. Make it smaller.", mostSide)
)

// NewID returns what a picture is found by, and nobody guesses.
func NewID() string { return rand.Text() }

// URL is where the picture is, under the URL of the deployment; empty: there is none.
func URL(id string) string {
	if id == "" {
		return ""
	}
	return "/avatars/" + id
}

type format struct {
	config func(io.Reader) (image.Config, error)
	decode func(io.Reader) (image.Image, error)
}

// formats are named as they look, whatever the sender calls them.
var formats = map[string]format{
	"image/png":  {png.DecodeConfig, png.Decode},
	"image/jpeg": {jpeg.DecodeConfig, jpeg.Decode},
	"image/gif":  {gif.DecodeConfig, gif.Decode},
}

// Draw returns the square in the middle of the picture, 256 by 256 pixels, as PNG. How large the picture is, is looked at before any of
// it is unpacked: a small file may hold a very large one.
func Draw(content []byte) ([]byte, error) {
	f, ok := formats[http.DetectContentType(content)]
	if !ok {
		return nil, ErrType
	}
	size, err := f.config(bytes.NewReader(content))
	switch {
	case err != nil || size.Width < 1 || size.Height < 1:
		return nil, ErrBroken
	case size.Width > mostSide || size.Height > mostSide:
		return nil, ErrLarge
	}
	picture, err := f.decode(bytes.NewReader(content))
	if err != nil || picture.Bounds().Empty() {
		return nil, ErrBroken
	}
	var drawn bytes.Buffer
	if err := png.Encode(&drawn, scale(picture)); err != nil {
		return nil, fmt.Errorf("encode a picture: %w", err)
	}
	return drawn.Bytes(), nil
}

// scale makes each pixel the mean of those in its place in the square in the middle.
func scale(from image.Image) *image.RGBA {
	bounds := from.Bounds()
	width := min(bounds.Dx(), bounds.Dy())
	corner := bounds.Min.Add(image.Pt((bounds.Dx()-width)/2, (bounds.Dy()-width)/2))
	place := func(i int) (begin, end int) {
		begin = i * width / side
		return begin, max(begin+1, (i+1)*width/side)
	}
	to := image.NewRGBA(image.Rect(0, 0, side, side))
	row := image.NewRGBA(image.Rect(0, 0, width, 1)) // drawing converts every kind of picture, and quickly
	for y := range side {
		var sums [side][4]int
		top, bottom := place(y)
		for at := top; at < bottom; at++ {
			draw.Draw(row, row.Bounds(), from, corner.Add(image.Pt(0, at)), draw.Src)
			for x := range side {
				left, right := place(x)
				for i := 4 * left; i < 4*right; i++ {
					sums[x][i%4] += int(row.Pix[i])
				}
			}
		}
		for x := range side {
			left, right := place(x)
			count := (right - left) * (bottom - top)
			for c, sum := range sums[x] {
				to.Pix[y*to.Stride+4*x+c] = uint8((sum + count/2) / count) //nolint:gosec // a mean of bytes
			}
		}
	}
	return to
}

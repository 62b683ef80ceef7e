// SPDX-License-Identifier: AGPL-3.0-or-later

package render

import (
	"fmt"
	"image"
	"math"
)

// fit cuts the source out of an image and scales it into the viewport (PS3.18 8.3.5.1.3). A viewport that is larger
// than the source makes it larger.
func fit(full image.Image, o *Options) (image.Image, error) {
	size := full.Bounds().Size()
	at, flipX, flipY, err := o.source(size)
	if err != nil {
		return nil, err
	}
	w, h := o.size(at.Dx(), at.Dy())
	if at.Size() == size && w == size.X && h == size.Y && !flipX && !flipY {
		return full, nil
	}
	across, down := weigh(at.Min.X, at.Dx(), w, flipX), weigh(at.Min.Y, at.Dy(), h, flipY)
	switch src := full.(type) {
	case *image.Gray:
		dst := image.NewGray(image.Rect(0, 0, w, h))
		scale(dst.Pix, src.Pix, src.Stride, 1, across, down)
		return dst, nil
	case *image.RGBA:
		dst := image.NewRGBA(image.Rect(0, 0, w, h))
		scale(dst.Pix, src.Pix, src.Stride, 4, across, down)
		return dst, nil
	}
	return nil, fmt.Errorf("%w: %T", ErrUnsupported, full)
}

// source is the part of the image that is to be shown.
func (o *Options) source(size image.Point) (at image.Rectangle, flipX, flipY bool, err error) {
	side := func(from, length, all int) (int, bool) {
		flip := length < 0
		if length = max(length, -length); length == 0 {
			length = all - from
		}
		return min(length, all-from), flip
	}
	if o.Source[0] >= size.X || o.Source[1] >= size.Y {
		return at, false, false, fmt.Errorf("%w: the part to be shown lies outside of the image", ErrOptions)
	}
	at.Min = image.Pt(o.Source[0], o.Source[1])
	w, flipX := side(at.Min.X, o.Source[2], size.X)
	h, flipY := side(at.Min.Y, o.Source[3], size.Y)
	at.Max = at.Min.Add(image.Pt(w, h))
	return at, flipX, flipY, nil
}

// size is how large the picture becomes, in the proportions of w and h.
func (o *Options) size(w, h int) (width, height int) {
	by := math.Inf(1)
	if o.Width > 0 {
		by = float64(o.Width) / float64(w)
	}
	if o.Height > 0 {
		by = min(by, float64(o.Height)/float64(h))
	}
	if math.IsInf(by, 1) {
		return w, h
	}
	side := func(n int) int { return max(1, min(int(math.Round(float64(n)*by)), MaxSide)) }
	return side(w), side(h)
}

// share is which pixels of the source, in one direction, make one of the destination.
type share struct {
	first   int
	weights []float32 // their sum is 1
}

// weigh computes the shares by which n pixels from begin on become m: the mean of those that a pixel covers and of
// half of its neighbours; between pixels if there are to be more of them (a triangle of twice the width of the larger).
func weigh(begin, n, m int, flip bool) []share {
	shares := make([]share, m)
	by := float64(n) / float64(m)
	radius := max(1, by)
	for i := range shares {
		centre := (float64(i)+0.5)*by - 0.5
		from, to := int(math.Ceil(centre-radius)), int(math.Floor(centre+radius))
		from, to = max(0, from), min(to, n-1)
		var sum float32
		s := share{first: begin + from}
		for k := from; k <= to; k++ {
			w := float32(max(0, 1-math.Abs(float64(k)-centre)/radius))
			s.weights = append(s.weights, w)
			sum += w
		}
		for k := range s.weights {
			s.weights[k] /= sum
		}
		if flip {
			shares[m-1-i] = s
		} else {
			shares[i] = s
		}
	}
	return shares
}

// scale computes rows of the destination from rows of the source that were scaled across, of which it keeps as many as
// a row needs.
func scale(dst, src []byte, stride, channels int, across, down []share) {
	width := len(across) * channels
	kept := map[int][]float32{} // by row of the source
	var free [][]float32
	sum := make([]float32, width)
	for y := range down {
		d := &down[y]
		for row, b := range kept {
			if row < d.first || row >= d.first+len(d.weights) {
				free = append(free, b)
				delete(kept, row)
			}
		}
		clear(sum)
		for k, weight := range d.weights {
			row, ok := kept[d.first+k]
			if !ok {
				if n := len(free); n > 0 {
					row, free = free[n-1], free[:n-1]
				} else {
					row = make([]float32, width)
				}
				scaleRow(row, src[(d.first+k)*stride:], channels, across)
				kept[d.first+k] = row
			}
			for i, v := range row {
				sum[i] += weight * v
			}
		}
		out := dst[y*width:][:width]
		for i, v := range sum {
			out[i] = uint8(v + 0.5)
		}
	}
}

func scaleRow(out []float32, row []byte, channels int, across []share) {
	for x := range across {
		a := &across[x]
		for c := range channels {
			var sum float32
			for k, w := range a.weights {
				sum += w * float32(row[(a.first+k)*channels+c])
			}
			out[x*channels+c] = sum
		}
	}
}

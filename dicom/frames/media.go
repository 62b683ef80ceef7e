// SPDX-License-Identifier: AGPL-3.0-or-later

package frames

import (
	"strings"

	"github.com/adit-go/adit/dicom/dict"
)

const octetStream = "application/octet-stream"

// MediaType is the media type of a frame as it is stored (PS3.18 8.7.3.3.2): application/octet-stream for native
// frames, and for syntaxes that have no type of their own.
func (x *Index) MediaType() string {
	if x.fragments == nil {
		return octetStream
	}
	return MediaType(x.syntax.UID)
}

// MediaType is the media type of the compressed frames of a transfer syntax (PS3.18 8.7.3.3.2).
func MediaType(transferSyntaxUID string) string {
	switch transferSyntaxUID {
	case dict.RLELossless:
		return "image/dicom-rle"
	case dict.JPEGLSLossless, dict.JPEGLSNearLossless:
		return "image/jls"
	case dict.JPEG2000Lossless, dict.JPEG2000:
		return "image/jp2"
	case dict.JPEG2000MCLossless, dict.JPEG2000MC:
		return "image/jpx"
	case dict.HTJ2KLossless, dict.HTJ2KLosslessRPCL, dict.HTJ2K:
		return "image/jphc"
	case dict.JPEGXLLossless, dict.JPEGXLJPEGRecompression, dict.JPEGXL:
		return "image/jxl"
	}
	if n, ok := process(transferSyntaxUID); ok {
		switch {
		case n >= 50 && n <= 70:
			return "image/jpeg"
		case n == 100 || n == 101:
			return "video/mpeg2"
		case n >= 102 && n <= 106:
			return "video/mp4"
		case n == 107 || n == 108:
			return "video/H265"
		}
	}
	return octetStream
}

// video reports whether the transfer syntax is one of a bit stream in which frames depend on each other.
func video(transferSyntaxUID string) bool {
	n, ok := process(transferSyntaxUID)
	return ok && n >= 100 && n <= 108
}

// process is the number behind 1.2.840.10008.1.2.4, under which the standard registers JPEG and MPEG. The fragmentable
// form of a video has one more component.
func process(uid string) (n int, ok bool) {
	rest, ok := strings.CutPrefix(uid, "1.2.840.10008.1.2.4.")
	rest = strings.TrimSuffix(rest, ".1")
	if !ok || len(rest) < 2 || len(rest) > 3 {
		return 0, false
	}
	for _, c := range []byte(rest) {
		if c < '0' || c > '9' {
			return 0, false
		}
		n = 10*n + int(c-'0')
	}
	return n, true
}

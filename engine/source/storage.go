// SPDX-License-Identifier: AGPL-3.0-or-later

package source

import (
	"slices"
	"strings"

	"github.com/adit-go/adit/dicom/dict"
	"github.com/adit-go/adit/engine/door"
)

// MaxStorage is how many presentation contexts of storage classes an association to the source has room for, beside
// those of C-FIND and C-GET. Those of one class always fit.
const MaxStorage = door.MaxContexts - 2

// MayHavePixels reports whether a SOP class can come compressed. What is unknown or private can.
func MayHavePixels(class string) bool {
	return !dict.IsStorageClass(class) || strings.Contains(dict.UIDName(class), "Image") ||
		slices.Contains(pixelClasses, class)
}

// pixelClasses have pixel data (7FE0,0010), which may be compressed, though no name tells that they are images.
var pixelClasses = []string{
	dict.EnhancedUSVolumeStorage, dict.ParametricMapStorage, dict.RTDoseStorage, dict.SegmentationStorage,
	dict.LabelMapSegmentationStorage, dict.HeightMapSegmentationStorage, dict.OphthalmicThicknessMapStorage,
	dict.OphthalmicOpticalCoherenceTomographyBscanVolumeAnalysisStorage,
	dict.DICOS2DAITStorage, dict.DICOS3DAITStorage, dict.DICOSQuadrupoleResonanceStorage,
}

// TransferSyntaxesOf lists the transfer syntaxes in which instances of a SOP class may be stored, those that any peer
// takes first: the usual ones, or all that the standard has, retired ones included. Compressed ones are among them only
// if the class can come so.
func TransferSyntaxesOf(class string, all bool) []string {
	if !MayHavePixels(class) {
		return slices.Clone(DataSyntaxes)
	}
	list := Union(DataSyntaxes[:2], imageSyntaxes, DataSyntaxes)
	if all {
		list = Union(list, dict.TransferSyntaxes())
	}
	return list
}

// Union returns what is in the lists, once, in their order.
func Union(lists ...[]string) []string {
	var out []string
	for _, list := range lists {
		for _, s := range list {
			if !slices.Contains(out, s) {
				out = append(out, s)
			}
		}
	}
	return out
}

// dataSyntaxes are proposed for every SOP class, imageSyntaxes for those with pixel data as well, in the order in which
// we like them best: as stored if it can be, uncompressed else.
var (
	DataSyntaxes = []string{
		dict.ExplicitVRLittleEndian, dict.ImplicitVRLittleEndian,
		dict.DeflatedExplicitVRLittleEndian, dict.ExplicitVRBigEndian,
	}
	imageSyntaxes = []string{
		dict.JPEGLosslessSV1, dict.JPEG2000Lossless, dict.JPEGLSLossless,
		dict.RLELossless, dict.JPEGBaseline8Bit, dict.JPEG2000,
		dict.JPEGExtended12Bit, dict.JPEGLSNearLossless, dict.JPEGLossless,
		dict.HTJ2KLossless, dict.HTJ2KLosslessRPCL, dict.HTJ2K,
		dict.MPEG2MPML, dict.MPEG2MPHL, dict.MPEG4HP41, dict.MPEG4HP41BD,
		dict.MPEG4HP422D, dict.MPEG4HP423D, dict.MPEG4HP42STEREO,
		dict.HEVCMP51, dict.HEVCM10P51, dict.JPEG2000MCLossless, dict.JPEG2000MC,
		dict.JPEGXLLossless, dict.JPEGXL, dict.JPEGXLJPEGRecompression,
	}
)

// Breadth says how many transfer syntaxes of a SOP class the destination is asked for: as many as fit where the source
// says in which it holds the class, or may not have it at all; the usual ones where it doesn't say, since some sources
// convert into what is proposed what they could send as it is. The next one is for what did not come otherwise.
type Breadth int

// How much a destination is asked for.
const (
	asFits     Breadth = iota // as many of the usual ones as fit into one association with those of the other classes
	Usual                     // all of the above, over several associations
	Registered                // all that the standard has, retired ones included
)

// Proposals returns the transfer syntaxes to propose for each SOP class: those in which the source says that it holds
// the class, and explicit and implicit VR little endian, in any case. The room that these leave in one association is
// shared out, what one class doesn't need to the others; a class of a greater breadth gets all of its own.
func Proposals(classes []string, held map[string][]string, breadths map[string]Breadth) map[string][]string {
	out, more := make(map[string][]string, len(classes)), make(map[string][]string, len(classes))
	room := door.MaxContexts - 2
	for _, class := range classes {
		list := Union(held[class], DataSyntaxes[:2])
		all := Union(list, TransferSyntaxesOf(class, breadths[class] == Registered))
		if breadths[class] > asFits {
			list = all
		}
		out[class], more[class] = list, all[len(list):]
		room -= len(list)
	}
	for i, shared := 0, true; shared; i++ {
		shared = false
		for _, class := range classes {
			if room > 0 && i < len(more[class]) {
				out[class] = append(out[class], more[class][i])
				room--
				shared = true
			}
		}
	}
	return out
}

// Covers reports whether all of what is wanted was proposed.
func Covers(proposed, wanted map[string][]string) bool {
	for class, syntaxes := range wanted {
		for _, syntax := range syntaxes {
			if !slices.Contains(proposed[class], syntax) {
				return false
			}
		}
	}
	return true
}

// CountOf returns how many presentation contexts that makes.
func CountOf(proposed map[string][]string) int {
	n := 0
	for _, syntaxes := range proposed {
		n += len(syntaxes)
	}
	return n
}

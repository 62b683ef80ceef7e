// SPDX-License-Identifier: AGPL-3.0-or-later

package engine

import (
	"slices"
	"strings"

	"github.com/adit-go/adit/dicom/dict"
	"github.com/adit-go/adit/dicom/stream"
)

// dataSyntaxes are proposed for every SOP class, imageSyntaxes for those with pixel data as well, in the order in which we
// like them best: as stored if it can be, uncompressed else.
var (
	dataSyntaxes  = []string{dict.ExplicitVRLittleEndian, dict.ImplicitVRLittleEndian, dict.DeflatedExplicitVRLittleEndian, dict.ExplicitVRBigEndian}
	imageSyntaxes = []string{
		dict.JPEGLosslessSV1, dict.JPEG2000Lossless, dict.JPEGLSLossless, dict.RLELossless, dict.JPEGBaseline8Bit, dict.JPEG2000,
		dict.JPEGExtended12Bit, dict.JPEGLSNearLossless, dict.JPEGLossless, dict.HTJ2KLossless, dict.HTJ2KLosslessRPCL, dict.HTJ2K,
		dict.MPEG2MPML, dict.MPEG2MPHL, dict.MPEG4HP41, dict.MPEG4HP41BD, dict.MPEG4HP422D, dict.MPEG4HP423D, dict.MPEG4HP42STEREO,
		dict.HEVCMP51, dict.HEVCM10P51, dict.JPEG2000MCLossless, dict.JPEG2000MC, dict.JPEGXLLossless, dict.JPEGXL, dict.JPEGXLJPEGRecompression,
	}
)

// proposals gives the transfer syntaxes to propose for each SOP class, so that all fit into one association: those in which
// the source says that it holds the class come first.
func proposals(classes []string, held map[string][]string) map[string][]string {
	if len(classes) == 0 {
		return nil
	}
	share := max(2, (maxContexts-2)/len(classes))
	out := make(map[string][]string, len(classes))
	for _, class := range classes {
		list := slices.Clone(dataSyntaxes[:2])
		list = append(list, held[class]...)
		share := max(share, len(firstUnique(list, maxContexts))) // what it has comes first of all
		list = append(list, dataSyntaxes[2:]...)
		if mayHavePixels(class) {
			list = append(list, imageSyntaxes...)
		}
		out[class] = firstUnique(list, share)
	}
	return out
}

func firstUnique(list []string, n int) []string {
	var out []string
	for _, s := range list {
		if len(out) < n && !slices.Contains(out, s) {
			out = append(out, s)
		}
	}
	return out
}

// mayHavePixels tells whether a SOP class can come compressed. What is unknown or private can.
func mayHavePixels(class string) bool {
	return !dict.IsStorageClass(class) || strings.Contains(dict.UIDName(class), "Image") || slices.Contains(pixelClasses, class)
}

// pixelClasses have pixel data (7FE0,0010), which may be compressed, though no name tells that they are images.
var pixelClasses = []string{
	dict.EnhancedUSVolumeStorage, dict.ParametricMapStorage, dict.RTDoseStorage, dict.SegmentationStorage,
	dict.LabelMapSegmentationStorage, dict.HeightMapSegmentationStorage, dict.OphthalmicThicknessMapStorage,
	dict.OphthalmicOpticalCoherenceTomographyBscanVolumeAnalysisStorage,
	dict.DICOS2DAITStorage, dict.DICOS3DAITStorage, dict.DICOSQuadrupoleResonanceStorage,
}

// asked gives the transfer syntaxes to propose to the source: those of the offer that the destination takes, and those that are converted
// on the way into one that it takes, if the source says that it holds one of them, or as a last resort (offerAll).
func (r *run) asked(classes []string, o offer) map[string][]string {
	out, room := map[string][]string{}, maxContexts-2
	for _, class := range classes {
		for _, syntax := range r.accepted[class] {
			if o.includes(syntax) {
				out[class] = append(out[class], syntax)
			}
		}
		room -= len(out[class])
	}
	held := r.inv.heldSyntaxes()
	for _, class := range classes {
		for _, syntax := range dataSyntaxes {
			converted := !slices.Contains(r.accepted[class], syntax) && r.goesOutAs(class, syntax) != syntax
			if room > 0 && converted && (o == offerAll || slices.Contains(held[class], syntax)) {
				out[class] = append(out[class], syntax)
				room--
			}
		}
	}
	return out
}

// goesOutAs gives the transfer syntax in which an object leaves: the one that it came in, unless the destination doesn't take that, and
// takes one that it can be converted to without decoding pixel data.
func (r *run) goesOutAs(class, syntax string) string {
	accepted := r.accepted[class]
	if slices.Contains(accepted, syntax) {
		return syntax
	}
	for _, to := range accepted {
		if stream.CanConvert(syntax, to) {
			return to
		}
	}
	return syntax
}

// plainOnly tells whether the destination takes a SOP class that can come compressed, but not compressed. Of a class that the source
// doesn't name, it tells whether the destination takes nothing compressed at all.
func (r *run) plainOnly(class string) bool {
	compressed := func(u string) bool { return dict.TransferSyntaxOf(u).Encapsulated }
	if class != "" {
		return mayHavePixels(class) && !slices.ContainsFunc(r.accepted[class], compressed)
	}
	for _, syntaxes := range r.accepted {
		if slices.ContainsFunc(syntaxes, compressed) {
			return false
		}
	}
	return true
}

// heldSyntaxes gives the transfer syntaxes in which the source says that it holds each SOP class.
func (inv *inventory) heldSyntaxes() map[string][]string {
	held := map[string][]string{}
	for _, s := range inv.series {
		for _, i := range s.instances {
			for _, syntax := range i.syntaxes {
				if !slices.Contains(held[i.class], syntax) {
					held[i.class] = append(held[i.class], syntax)
				}
			}
		}
	}
	for _, list := range held {
		slices.Sort(list)
	}
	return held
}

// lossy tells whether the source says that it holds one of the instances compressed with loss: only then are such transfer syntaxes
// proposed from the start, since a source could else choose to compress.
func (s *seriesInventory) lossy() bool {
	for _, i := range s.instances {
		if i.lossy || slices.ContainsFunc(i.syntaxes, func(u string) bool { return dict.TransferSyntaxOf(u).Lossy }) {
			return true
		}
	}
	return false
}

// allClasses gives the SOP classes of all series.
func (inv *inventory) allClasses() []string {
	all := slices.Clone(inv.kinds)
	for _, s := range inv.series {
		all = append(all, s.classes()...)
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// SPDX-License-Identifier: AGPL-3.0-or-later

package engine

import (
	"context"
	"maps"
	"math"
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

// breadth says how many transfer syntaxes of a SOP class the destination is asked for: as many as fit where the source says in which it
// holds the class, or may not have it at all; the usual ones where it doesn't say, since some sources convert into what is proposed what
// they could send as it is. The next one is for what could not be had otherwise.
type breadth int

const (
	asFits     breadth = iota // as many of the usual ones as fit into one association with those of the other classes
	usual                     // all of the above, over several associations
	registered                // all that the standard has, retired ones included
)

// proposals gives the transfer syntaxes to propose for each SOP class: those in which the source says that it holds the class, and explicit
// and implicit VR little endian, in any case. The room that these leave in one association is shared out, what one class doesn't
// need to the others; a class of a greater breadth gets all of its own.
func proposals(classes []string, held map[string][]string, breadths map[string]breadth) map[string][]string {
	out, more := make(map[string][]string, len(classes)), make(map[string][]string, len(classes))
	room := maxContexts - 2
	for _, class := range classes {
		list := union(held[class], dataSyntaxes[:2])
		all := union(list, TransferSyntaxesOf(class, breadths[class] == registered))
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

// TransferSyntaxesOf lists the transfer syntaxes in which instances of a SOP class may be stored, those that any peer takes first: the usual
// ones, or all that the standard has, retired ones included. Compressed ones are among them only if the class can come so.
func TransferSyntaxesOf(class string, all bool) []string {
	if !mayHavePixels(class) {
		return slices.Clone(dataSyntaxes)
	}
	list := union(dataSyntaxes[:2], imageSyntaxes, dataSyntaxes)
	if all {
		list = union(list, dict.TransferSyntaxes())
	}
	return list
}

// union gives what is in the lists, once, in their order.
func union(lists ...[]string) []string {
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

// asked gives the transfer syntaxes to propose to the source for each SOP class: those of the offer that the destination takes, and those
// that are converted on the way into one that it takes, if the source says that it holds one of them, or as a last resort (offerAll).
func (r *run) asked(classes []string, o offer) map[string][]string {
	out := make(map[string][]string, len(classes))
	for _, class := range classes {
		for _, syntax := range r.accepted[class] {
			if o.includes(syntax) {
				out[class] = append(out[class], syntax)
			}
		}
		for _, syntax := range dataSyntaxes {
			converted := !slices.Contains(r.accepted[class], syntax) && r.deliverable(class, syntax)
			if converted && (o == offerAll || slices.Contains(r.stored[class], syntax)) {
				out[class] = append(out[class], syntax)
			}
		}
		if r.reads(class) { // it is read, whether or not it goes on
			out[class] = union(out[class], dataSyntaxes[:2])
		}
		out[class] = out[class][:min(len(out[class]), maxStorage)] // a source may name any number
	}
	return out
}

// deliverable tells whether an object of a SOP class that comes in a transfer syntax can go out.
func (r *run) deliverable(class, syntax string) bool {
	return slices.Contains(r.accepted[class], r.goesOutAs(class, syntax))
}

// maxStorage is how many presentation contexts of storage classes an association to the source has room for, beside those of C-FIND and
// C-GET. Those of one class always fit.
const maxStorage = maxContexts - 2

func countOf(proposed map[string][]string) int {
	n := 0
	for _, syntaxes := range proposed {
		n += len(syntaxes)
	}
	return n
}

// part is what is asked for over one association.
type part struct {
	classes []string
	uids    []string // nil: the whole series
}

// parts shares a retrieve out over as many associations as its SOP classes and their transfer syntaxes need: nearly always one.
// An instance whose class the source doesn't name is in every part.
func (r *run) parts(s *seriesInventory, uids []string, o offer) []part {
	var all []part
	room := 0
	for _, class := range s.classesOf(uids) {
		n := countOf(r.asked([]string{class}, o))
		if n == 0 {
			continue // the destination takes none of them
		}
		if room -= n; room < 0 {
			all, room = append(all, part{}), maxStorage-n
		}
		p := &all[len(all)-1]
		p.classes = append(p.classes, class)
	}
	if uids == nil && (!s.listed || len(all) == 1) {
		return all
	}
	if uids == nil {
		uids = r.instances.missing(s, math.MaxInt)
	}
	var named []part
	for _, p := range all {
		theirs := slices.DeleteFunc(slices.Clone(uids), func(uid string) bool {
			class := s.instances[uid].class
			return class != "" && !slices.Contains(p.classes, class)
		})
		for chunk := range slices.Chunk(theirs, listChunk) {
			named = append(named, part{p.classes, chunk})
		}
	}
	return named
}

// classesOf gives the SOP classes to expect of instances of a series; nil: of all.
func (s *seriesInventory) classesOf(uids []string) []string {
	var classes []string
	for _, uid := range uids {
		class := s.instances[uid].class
		if class == "" {
			return s.classes()
		}
		if !slices.Contains(classes, class) {
			classes = append(classes, class)
		}
	}
	if uids == nil {
		return s.classes()
	}
	slices.Sort(classes)
	return classes
}

// beside gives what to propose to the source with what it is asked for now: the other classes of the study as well, as far as they fit,
// those that follow first. Nothing lossy of them, unless the source says that it holds that.
func (r *run) beside(now map[string][]string) map[string][]string {
	all := r.inv.allClasses()
	begin := 0
	for i, class := range all {
		if _, ok := now[class]; ok {
			begin = i + 1
		}
	}
	out, n := maps.Clone(now), countOf(now)
	for i := range all {
		class := all[(begin+i)%len(all)]
		if _, ok := out[class]; ok {
			continue
		}
		o := offerLossless
		if slices.ContainsFunc(r.inv.series, func(s *seriesInventory) bool { return s.lossy(class) }) {
			o = offerAll
		}
		if more := r.asked([]string{class}, o); n+countOf(more) <= maxStorage {
			n += countOf(more)
			maps.Copy(out, more)
		}
	}
	return out
}

// widened asks the destination for more transfer syntaxes of what is missing, and then the source, if the destination takes any.
func (r *run) widened(b breadth, again step) step {
	return func(ctx context.Context, s *seriesInventory) error {
		if !r.lacking(s) {
			return nil
		}
		before := r.accepted
		if err := r.widen(ctx, b); err != nil {
			return err
		}
		for _, class := range s.classesOf(r.lackingOf(s)) {
			if len(r.accepted[class]) > len(before[class]) {
				return again(ctx, s)
			}
		}
		return nil
	}
}

// widen asks the destination for more transfer syntaxes of all that is missing of the study, so that it is asked once.
func (r *run) widen(ctx context.Context, b breadth) error {
	for _, s := range r.inv.series {
		if !r.lacking(s) {
			continue
		}
		for _, class := range s.classesOf(r.lackingOf(s)) {
			r.breadths[class] = max(r.breadths[class], b)
		}
	}
	if covers(r.proposed, r.proposals()) {
		return nil
	}
	r.settle()
	return r.prepareSink(ctx)
}

// lackingOf gives the instances that are missing of a series; nil if it isn't listed.
func (r *run) lackingOf(s *seriesInventory) []string {
	if !s.listed {
		return nil
	}
	return r.instances.missing(s, math.MaxInt)
}

// covers tells whether all of what is wanted was proposed.
func covers(proposed, wanted map[string][]string) bool {
	for class, syntaxes := range wanted {
		for _, syntax := range syntaxes {
			if !slices.Contains(proposed[class], syntax) {
				return false
			}
		}
	}
	return true
}

// goesOutAs gives the transfer syntax in which an object leaves: the one that it came in, unless the destination doesn't take that, and
// takes one that it can be converted to without decoding pixel data.
func (r *run) goesOutAs(class, syntax string) string {
	if slices.Contains(r.accepted[class], syntax) {
		return syntax
	}
	for _, to := range dataSyntaxes {
		if slices.Contains(r.accepted[class], to) && stream.CanConvert(syntax, to) {
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

// silentClasses gives the SOP classes of instances of which the source doesn't say in which transfer syntax it holds them.
func (inv *inventory) silentClasses() []string {
	var list []string
	for _, s := range inv.series {
		for _, i := range s.instances {
			if i.class != "" && len(i.syntaxes) == 0 && !slices.Contains(list, i.class) {
				list = append(list, i.class)
			}
		}
	}
	return list
}

// lossy tells whether the source says that it holds one of the instances, of a SOP class ("": of any), compressed with loss: only then are
// such transfer syntaxes proposed from the start, since a source could else choose to compress.
func (s *seriesInventory) lossy(class string) bool {
	for _, i := range s.instances {
		if class != "" && i.class != "" && i.class != class {
			continue
		}
		if i.lossy || slices.ContainsFunc(i.syntaxes, func(u string) bool { return dict.TransferSyntaxOf(u).Lossy }) {
			return true
		}
	}
	return false
}

// allClasses gives the SOP classes of all series, in their order.
func (inv *inventory) allClasses() []string {
	lists := make([][]string, len(inv.series), len(inv.series)+1)
	for i, s := range inv.series {
		lists[i] = s.classes()
	}
	return union(append(lists, inv.kinds)...)
}

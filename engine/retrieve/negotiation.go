// SPDX-License-Identifier: AGPL-3.0-or-later

package retrieve

import (
	"context"
	"maps"
	"math"
	"slices"

	"github.com/adit-go/adit/dicom/dict"
	"github.com/adit-go/adit/dicom/dimse"
	"github.com/adit-go/adit/dicom/stream"
	"github.com/adit-go/adit/engine/evidence"
	"github.com/adit-go/adit/engine/source"
)

// Negotiation is what the destination takes, and so what the source is asked for.
type Negotiation struct {
	*Task
	proposed map[string][]string       // by SOP class: the transfer syntaxes that the destination was asked for
	accepted map[string][]string       // of them, those that it takes
	stored   map[string][]string       // by SOP class: the transfer syntaxes in which the source says that it holds it
	breadths map[string]source.Breadth // by SOP class: of what the destination is asked for
}

// PrepareSink asks the destination in which transfer syntaxes it takes the instances. Nothing may be on its way.
func (r *Negotiation) PrepareSink(ctx context.Context) error {
	if len(r.Inv.Series) == 0 && r.Inv.Unnamed > 0 {
		r.expectAny()
	}
	asked := r.proposals()
	if len(asked) == 0 {
		return nil // there is nothing to send
	}
	accepted, err := r.Sink.Prepare(ctx, asked)
	if err != nil {
		return r.Unusable(err)
	}
	r.proposed, r.accepted, r.stored = asked, accepted, r.Inv.HeldSyntaxes()
	return nil
}

// proposals returns what the destination is asked for: what the source says that it has, and what it sent and was not
// asked for.
func (r *Negotiation) proposals() map[string][]string {
	classes, held := r.Inv.AllClasses(), r.Inv.HeldSyntaxes()
	for _, class := range r.Inv.SilentClasses() {
		r.breadths[class] = max(r.breadths[class], source.Usual)
	}
	for class, syntaxes := range r.Instances.Summary.BroughtSyntaxes() {
		if !slices.Contains(classes, class) {
			classes = append(classes, class)
		}
		held[class] = append(slices.Clone(syntaxes), held[class]...)
	}
	classes = slices.DeleteFunc(classes, r.NeverTakes)
	return source.Proposals(classes, held, r.breadths)
}

// parts shares a retrieve out over as many associations as its SOP classes and their transfer syntaxes need, of which
// each has room for so many: nearly always one. An instance whose class the source doesn't name is in every part.
func (r *Negotiation) parts(s *source.SeriesInventory, uids []string, o source.Offer, most int) []part {
	var all []part
	room := 0
	for _, class := range s.ClassesOf(uids) {
		n := source.CountOf(r.asked([]string{class}, o))
		if n == 0 {
			continue // the destination takes none of them
		}
		if room -= n; room < 0 {
			all, room = append(all, part{}), most-n
		}
		p := &all[len(all)-1]
		p.classes = append(p.classes, class)
	}
	if uids == nil && (!s.Listed || len(all) == 1) {
		return all
	}
	if uids == nil {
		uids = r.Instances.Missing(s, math.MaxInt)
	}
	var named []part
	for _, p := range all {
		theirs := slices.DeleteFunc(slices.Clone(uids), func(uid string) bool {
			class := s.Instances[uid].Class
			return class != "" && !slices.Contains(p.classes, class)
		})
		for chunk := range slices.Chunk(theirs, source.ListChunk) {
			named = append(named, part{p.classes, chunk})
		}
	}
	return named
}

// part is what is asked for over one association.
type part struct {
	classes []string
	uids    []string // nil: the whole series
}

// asked returns the transfer syntaxes to propose to the source for each SOP class: those of the offer that the
// destination takes, and those that are converted on the way into one that it takes, if the source says that it holds
// one of them, or as a last resort (offerAll).
func (r *Negotiation) asked(classes []string, o source.Offer) map[string][]string {
	out := make(map[string][]string, len(classes))
	for _, class := range classes {
		for _, syntax := range r.accepted[class] {
			if o.Includes(syntax) {
				out[class] = append(out[class], syntax)
			}
		}
		for _, syntax := range source.DataSyntaxes {
			converted := !slices.Contains(r.accepted[class], syntax) && r.deliverable(class, syntax)
			if converted && (o == source.OfferAll || slices.Contains(r.stored[class], syntax)) {
				out[class] = append(out[class], syntax)
			}
		}
		if r.Reads(class) { // it is read, whether or not it goes on
			out[class] = source.Union(out[class], source.DataSyntaxes[:2])
		}
		out[class] = out[class][:min(len(out[class]), source.MaxStorage)] // a source may name any number
	}
	return out
}

// firstMoveOffer is what a series is asked for with at first by C-MOVE.
func (r *Negotiation) firstMoveOffer(s *source.SeriesInventory) source.Offer {
	if slices.ContainsFunc(s.Classes(), r.refusesCompressed) {
		return source.OfferPlain
	}
	return source.OfferAll
}

// refusesCompressed reports whether the destination was asked to take a SOP class compressed, and doesn't.
func (r *Negotiation) refusesCompressed(class string) bool {
	compressed := func(u string) bool { return dict.TransferSyntaxOf(u).Encapsulated }
	return slices.ContainsFunc(r.proposed[class], compressed) && !slices.ContainsFunc(r.accepted[class], compressed)
}

// askedAsHeld reports whether an instance was surely asked for in a transfer syntax that the source holds it in, or
// needs none.
func (r *Negotiation) askedAsHeld(i source.Instance, o source.Offer, byMove bool) bool {
	if byMove && o != source.OfferPlain {
		return true // our receiver takes everything
	}
	if len(i.Syntaxes) == 0 {
		return i.Class != "" && !source.MayHavePixels(i.Class)
	}
	return slices.ContainsFunc(
		i.Syntaxes, func(u string) bool { return r.deliverable(i.Class, u) && (!byMove || o.Includes(u)) },
	)
}

// Unsent says why an instance that the source lists could not be asked for: the destination takes nothing of its SOP
// class, or not in what the source holds it in.
func (r *Negotiation) Unsent(i source.Instance) evidence.Shortfall {
	switch {
	case i.Class == "" || r.accepted == nil:
	case len(r.accepted[i.Class]) == 0:
		return evidence.Shortfall{
			Cause: evidence.CauseNotTaken, Status: dimse.RefusedSOPClass,
			Reason: "the destination doesn't take SOP class " + i.Class,
		}
	case len(i.Syntaxes) > 0 &&
		!slices.ContainsFunc(i.Syntaxes, func(u string) bool { return r.deliverable(i.Class, u) }):
		return evidence.Shortfall{Cause: evidence.CauseSyntax, Reason: refusedSyntax}
	}
	return evidence.Shortfall{}
}

// deliverable reports whether an instance of a SOP class that comes in a transfer syntax can go out.
func (r *Negotiation) deliverable(class, syntax string) bool {
	return slices.Contains(r.accepted[class], r.GoesOutAs(class, syntax))
}

// GoesOutAs returns the transfer syntax in which an instance leaves: the one that it came in, unless the destination
// doesn't take that, and takes one that it can be converted to without decoding pixel data.
func (r *Negotiation) GoesOutAs(class, syntax string) string {
	if slices.Contains(r.accepted[class], syntax) {
		return syntax
	}
	for _, to := range source.DataSyntaxes {
		if slices.Contains(r.accepted[class], to) && stream.CanConvert(syntax, to) {
			return to
		}
	}
	return syntax
}

// takes reports whether the destination takes one of the classes in a transfer syntax of the offer.
func (r *Negotiation) takes(classes []string, o source.Offer) bool {
	return slices.ContainsFunc(
		classes, func(c string) bool { return slices.ContainsFunc(r.accepted[c], o.Includes) || r.Reads(c) },
	)
}

// beside returns what to propose to the source with what it is asked for now: the other classes of the study as well,
// as far as they fit, those that follow first. Nothing lossy of them, unless the source says that it holds that.
func (r *Negotiation) beside(now map[string][]string) map[string][]string {
	all := r.Inv.AllClasses()
	begin := 0
	for i, class := range all {
		if _, ok := now[class]; ok {
			begin = i + 1
		}
	}
	out, n := maps.Clone(now), source.CountOf(now)
	for i := range all {
		class := all[(begin+i)%len(all)]
		if _, ok := out[class]; ok {
			continue
		}
		o := source.OfferLossless
		if slices.ContainsFunc(r.Inv.Series, func(s *source.SeriesInventory) bool { return s.Lossy(class) }) {
			o = source.OfferAll
		}
		if more := r.asked([]string{class}, o); n+source.CountOf(more) <= source.MaxStorage {
			n += source.CountOf(more)
			maps.Copy(out, more)
		}
	}
	return out
}

// lackingOf returns the instances that are missing of a series; nil if it isn't listed.
func (r *Negotiation) lackingOf(s *source.SeriesInventory) []string {
	if !s.Listed {
		return nil
	}
	return r.Instances.Missing(s, math.MaxInt)
}

// plainOnly reports whether the destination takes a SOP class that can come compressed, but not compressed. Of a class
// that the source doesn't name, it tells whether the destination takes nothing compressed at all.
func (r *Negotiation) plainOnly(class string) bool {
	compressed := func(u string) bool { return dict.TransferSyntaxOf(u).Encapsulated }
	if class != "" {
		return source.MayHavePixels(class) && !slices.ContainsFunc(r.accepted[class], compressed)
	}
	for _, syntaxes := range r.accepted {
		if slices.ContainsFunc(syntaxes, compressed) {
			return false
		}
	}
	return true
}

// firstOffer is what a series is asked for with at first by C-GET, and by WADO-RS, which asks for it as it is stored:
// no source compresses for that.
func (r *Retrieval) firstOffer(s *source.SeriesInventory) source.Offer {
	if s.Lossy("") || r.Methods.byWeb() {
		return source.OfferAll
	}
	return source.OfferLossless
}

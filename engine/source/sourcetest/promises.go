// SPDX-License-Identifier: AGPL-3.0-or-later

package sourcetest

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/adit-go/adit/dicom/dict"
	"github.com/adit-go/adit/dicom/dimse"
	"github.com/adit-go/adit/dicom/phantom"
	"github.com/adit-go/adit/engine/source"
)

// promises are all that source.Source promises, as subtests of Run.
var promises = []promise{
	{"the study", nil, theStudy},
	{"the series", nil, theSeries},
	{"chosen series", nil, chosenSeries},
	{"the instances", nil, theInstances},
	{"a list that breaks off", breaksLists, brokenList},
	{"a list that is denied", deniesLists, deniedList},
	{"each series", nil, eachSeries},
	{"the whole study", nil, wholeStudy},
	{"instances by name", nil, byName},
	{"what is not there", nil, notThere},
	{"only what is wanted", nil, onlyWanted},
	{"prepared anew", nil, preparedAnew},
	{"a retrieve that breaks off", breaks, brokenRetrieve},
	{"again after an error", breaks, againAfterError},
	{"what the peer refuses", refuses, refusedThere},
	{"what is refused here", nil, refusedHere},
	{"what is left unread", nil, leftUnread},
	{"a status", denies, statuses},
	{"too few", sendsTooFew, tooFew},
	{"stopped", isHeld, stopped},
	{"a context that ends", isHeld, endedContext},
	{"dropped while idle", drops, dropped},
	{"begun", nil, begun},
	{"away", goesAway, away},
	{"ended at any time", nil, endedAnyTime},
	{"moved from", nil, movedFrom},
}

// What promises need of a peer.
var (
	breaksLists = needs("breaks off no list", func(s *Subject) bool { return s.BreakList != nil })
	deniesLists = needs("denies no list", func(s *Subject) bool { return s.DenyList != nil })
	breaks      = needs("breaks off no retrieve", func(s *Subject) bool { return s.Break != nil })
	refuses     = needs("refuses nothing", func(s *Subject) bool { return s.Refuse != nil })
	denies      = needs("can't be told what to answer", func(s *Subject) bool { return s.Deny != nil })
	sendsTooFew = needs("never sends too few", func(s *Subject) bool { return s.Short != nil })
	isHeld      = needs("can't be held", func(s *Subject) bool { return s.Hold != nil })
	drops       = needs("drops nothing", func(s *Subject) bool { return s.Drop != nil })
	goesAway    = needs("can't be taken away", func(s *Subject) bool { return s.Away != nil })
)

// needs makes a promise one of peers that can do something.
func needs(lack string, has func(s *Subject) bool) func(s *Subject) string {
	return func(s *Subject) string {
		if has(s) {
			return ""
		}
		return "the peer " + lack
	}
}

// said is what an error says, if there is one.
func said(err error) string {
	if err == nil {
		return "no error"
	}
	return err.Error()
}

// theStudy: a study is found by its UID, alone or with its patient's ID, and nothing else is taken for it.
func theStudy(tr *trial) error {
	for _, study := range studies() {
		for _, patient := range []string{"", patientOf(study)} {
			if err := tr.finds(study, patient); err != nil {
				return err
			}
		}
	}
	for _, other := range []struct{ study, patient string }{
		{absent, ""},
		{absent, patientOf(mainStudy())},
		{mainStudy().StudyInstanceUID, "PHANTOM-4704"},
		{mainStudy().StudyInstanceUID, patientOf(studies()[2])},
	} {
		err := tr.do("OneStudy", func() error {
			_, err := tr.Source.OneStudy(tr.ctx, other.study, other.patient)
			return err
		})
		if !errors.Is(err, source.ErrNoStudy) {
			return fmt.Errorf("OneStudy of a study that is not there (study %s, patient %q): %s instead of ErrNoStudy",
				other.study, other.patient, said(err))
		}
	}
	return nil
}

// finds looks for a study that is there.
func (tr *trial) finds(study *phantom.Study, patient string) error {
	return tr.do("OneStudy", func() error {
		answer, err := tr.Source.OneStudy(tr.ctx, study.StudyInstanceUID, patient)
		if err != nil {
			return fmt.Errorf("OneStudy of a study that is there: %w", err)
		}
		uid, id := answer.String(dict.StudyInstanceUID), answer.String(dict.PatientID)
		if uid != study.StudyInstanceUID || id != patientOf(study) {
			return fmt.Errorf("OneStudy returns study %s of patient %s instead of %s of %s",
				uid, id, study.StudyInstanceUID, patientOf(study))
		}
		if n := source.Count(answer, dict.NumberOfStudyRelatedInstances); n >= 0 && n != len(study.Instances()) {
			return fmt.Errorf("OneStudy counts %d instances instead of %d", n, len(study.Instances()))
		}
		return nil
	})
}

// theSeries: exactly the series of a study are listed, in their order, with no other count than their own, as often as
// it is asked for.
func theSeries(tr *trial) error {
	for _, study := range studies() {
		inv := inventory(study)
		for range 2 {
			if err := tr.listSeries(inv); err != nil {
				return err
			}
			if err := isListed(inv, study.Series); err != nil {
				return err
			}
		}
	}
	inv := inventory(mainStudy())
	inv.Omits = func(modality string) bool { return modality == "US" }
	if err := tr.listSeries(inv); err != nil {
		return err
	}
	omitted := mainStudy().Series[ofRLE]
	if !slices.Equal(inv.LeftOutSeries, []string{omitted.SeriesInstanceUID}) {
		return fmt.Errorf("ListSeries without US: the series left out are %q", inv.LeftOutSeries)
	}
	return isListed(inv, slices.Delete(slices.Clone(mainStudy().Series), ofRLE, ofRLE+1))
}

// isListed reports whether an inventory has exactly these series.
func isListed(inv *source.Inventory, want []*phantom.Series) error {
	if len(inv.Series) != len(want) || inv.Unnamed != 0 {
		return fmt.Errorf("ListSeries lists %d series, and %d without a UID, instead of %d",
			len(inv.Series), inv.Unnamed, len(want))
	}
	for i, se := range want {
		s := inv.Series[i]
		switch {
		case s.UID != se.SeriesInstanceUID:
			return fmt.Errorf("ListSeries lists series %s as number %d instead of %s", s.UID, i+1, se.SeriesInstanceUID)
		case s.Counted != -1 && s.Counted != len(se.Instances):
			return fmt.Errorf("ListSeries counts %d instances in a series of %d", s.Counted, len(se.Instances))
		}
	}
	return nil
}

// chosenSeries: of series that were chosen exactly those are listed, and one that is not there is an error.
func chosenSeries(tr *trial) error {
	want := []*phantom.Series{mainStudy().Series[ofImplicit], mainStudy().Series[ofReports]}
	inv := inventory(mainStudy())
	inv.Whole, inv.Chosen = false, []string{want[1].SeriesInstanceUID, want[0].SeriesInstanceUID}
	if err := tr.listSeries(inv); err != nil {
		return err
	}
	if err := isListed(inv, want); err != nil {
		return err
	}
	for _, uid := range []string{absent, studies()[1].Series[0].SeriesInstanceUID} {
		inv := inventory(mainStudy())
		inv.Whole, inv.Chosen = false, []string{want[0].SeriesInstanceUID, uid}
		if err := tr.listSeries(inv); err == nil {
			return errors.New("ListSeries finds a series that the study does not have")
		}
	}
	none := inventory(mainStudy())
	none.Study = absent
	if err := tr.listSeries(none); err == nil {
		return errors.New("ListSeries lists the series of a study that is not there")
	}
	return nil
}

// theInstances: exactly the instances of a series are listed, under their own UIDs, as of no other SOP class or
// transfer syntax than theirs.
func theInstances(tr *trial) error {
	listed := false
	for _, study := range studies() {
		inv := inventory(study)
		if err := tr.listSeries(inv); err != nil {
			return err
		}
		for i, s := range inv.Series {
			for _, keys := range [][]dict.Tag{source.ImageKeys, source.PresenceKeys} {
				if err := tr.listInstances(inv, s, keys); err != nil {
					return err
				}
				listed = listed || s.Listed
				if err := areListed(s, study.Series[i].Instances); s.Listed && err != nil {
					return err
				}
			}
		}
	}
	if !listed {
		return fmt.Errorf("%w: the source lists no instances", errNotTried)
	}
	return nil
}

// areListed reports whether a series that is listed has exactly these instances.
func areListed(s *source.SeriesInventory, want []*phantom.Instance) error {
	if uids := slices.Sorted(maps.Keys(s.Instances)); !slices.Equal(uids, slices.Sorted(slices.Values(uidsOf(want)))) {
		return fmt.Errorf("ListInstances of series %s names %d instances, which are not those %d that it has",
			s.UID, len(uids), len(want))
	}
	if len(s.Unusable)+len(s.Twice) > 0 {
		return fmt.Errorf("ListInstances of series %s names UIDs that are none (%q), or twice (%q)",
			s.UID, s.Unusable, s.Twice)
	}
	for _, in := range want {
		said := s.Instances[in.SOPInstanceUID]
		if said.Class != "" && said.Class != in.SOPClassUID {
			return fmt.Errorf("ListInstances says that %s is of SOP class %s, and it is of %s",
				in.SOPInstanceUID, said.Class, in.SOPClassUID)
		}
		if len(said.Syntaxes) > 0 && !slices.Contains(said.Syntaxes, in.TransferSyntaxUID) {
			return fmt.Errorf("ListInstances says that %s is held in %q, and it is in %s",
				in.SOPInstanceUID, said.Syntaxes, in.TransferSyntaxUID)
		}
	}
	return nil
}

// question is one of those that a source is asked before anything is got.
type question struct {
	level string
	n     int // answers to it
	ask   func(tr *trial) error
}

// questions are all that there are. Those of a level below need nothing of the level above.
func questions() []question {
	return []question{
		{"STUDY", 1, func(tr *trial) error {
			return tr.do("OneStudy", func() error {
				_, err := tr.Source.OneStudy(tr.ctx, mainStudy().StudyInstanceUID, patientOf(mainStudy()))
				return err
			})
		}},
		{"SERIES", len(mainStudy().Series), func(tr *trial) error { return tr.listSeries(inventory(mainStudy())) }},
		{"IMAGE", len(seriesOf(ofCT)), func(tr *trial) error {
			return tr.listInstances(inventory(mainStudy()), oneSeries(), source.ImageKeys)
		}},
	}
}

// oneSeries is a series before its instances are listed.
func oneSeries() *source.SeriesInventory {
	return &source.SeriesInventory{UID: mainStudy().Series[ofCT].SeriesInstanceUID, Counted: len(seriesOf(ofCT))}
}

// listsInstances reports whether a source does so.
func (tr *trial) listsInstances() (bool, error) {
	s := oneSeries()
	err := tr.listInstances(inventory(mainStudy()), s, source.ImageKeys)
	return s.Listed, err
}

// brokenList: a list that breaks off is an error, and no list that is shorter, nor one of nothing. Then it can be asked
// for again.
func brokenList(tr *trial) error {
	lists, err := tr.listsInstances()
	if err != nil {
		return err
	}
	for _, q := range questions() {
		if q.level == "IMAGE" && !lists {
			continue
		}
		for _, after := range []int{0, q.n / 2} {
			tr.BreakList(after)
			if err := q.ask(tr); err == nil || errors.Is(err, source.ErrNoStudy) {
				return fmt.Errorf(
					"what was asked for at level %s breaks off after %d answers: %s", q.level, after, said(err),
				)
			}
			if err := tr.abort(); err != nil {
				return err
			}
			if err := q.ask(tr); err != nil {
				return fmt.Errorf("asked again at level %s: %w", q.level, err)
			}
		}
	}
	return nil
}

// deniedList: a question that the peer has no room for is an error, and no list of nothing; where it lists no
// instances, the series is unlisted.
func deniedList(tr *trial) error {
	lists, err := tr.listsInstances()
	if err != nil {
		return err
	}
	for _, q := range questions() {
		if q.level == "IMAGE" && !lists {
			continue
		}
		tr.DenyList(q.level, dimse.OutOfResources)
		if err := q.ask(tr); err == nil || errors.Is(err, source.ErrNoStudy) {
			return fmt.Errorf(
				"what was asked for at level %s is answered %s: %s", q.level, dimse.OutOfResources, said(err),
			)
		}
		if err := q.ask(tr); err != nil {
			return fmt.Errorf("asked again at level %s: %w", q.level, err)
		}
	}
	if !lists {
		return nil
	}
	inv, s := inventory(mainStudy()), oneSeries()
	tr.DenyList("IMAGE", dimse.DataSetMismatch)
	if err := tr.listInstances(inv, s, source.ImageKeys); err != nil {
		return fmt.Errorf("the peer lists no instances: %w", err)
	}
	if s.Listed {
		return errors.New("the peer lists no instances, and the series is listed")
	}
	return nil
}

// eachSeries: of each series all instances come, each once, byte for byte, as they are held, and nothing else.
func eachSeries(tr *trial) error {
	for n := range mainStudy().Series {
		if err := tr.complete(wholeSeries(n), seriesOf(n)); err != nil {
			return fmt.Errorf("series %d: %w", n+1, err)
		}
	}
	return nil
}

// wholeStudy: of a study all instances come, and nothing of another one.
func wholeStudy(tr *trial) error {
	return tr.complete(request{wanted: syntaxesOf(mainStudy().Instances())}, mainStudy().Instances())
}

// byName: a list of UIDs brings those alone.
func byName(tr *trial) error {
	for _, want := range [][]*phantom.Instance{
		seriesOf(ofCT)[4:5],
		{seriesOf(ofCT)[5], seriesOf(ofCT)[0], seriesOf(ofCT)[2]},
		seriesOf(ofLarge),
		seriesOf(ofMany)[3 : 3+source.ListChunk],
	} {
		rq := request{series: want[0].Series().SeriesInstanceUID, uids: uidsOf(want), wanted: syntaxesOf(want)}
		if err := tr.complete(rq, want); err != nil {
			return fmt.Errorf("%d instances: %w", len(want), err)
		}
	}
	return nil
}

// notThere: for what is not there nothing comes, whatever is answered; what is there beside it comes, or the answer is
// no success.
func notThere(tr *trial) error {
	for _, want := range [][]*phantom.Instance{nil, seriesOf(ofCT)[:2]} {
		rq := wholeSeries(ofCT)
		rq.uids = append(uidsOf(want), absent)
		g, err := tr.get(rq)
		if err := errors.Join(err, g.err); err != nil {
			return err
		}
		if g.Status != dimse.Success { // some send nothing of a list then
			want = among(g.came, want)
		}
		if err := compare(g.came, want); err != nil {
			return fmt.Errorf("instances that are there, and one that is not: %w", err)
		}
	}
	return nil
}

// onlyWanted: what is held in a transfer syntax that is not wanted doesn't come, or comes in one that is; then the
// answer tells that it did not.
func onlyWanted(tr *trial) error {
	if err := tr.complete(wholeSeries(ofRLE), seriesOf(ofRLE)); err != nil {
		return err
	}
	rq := wholeSeries(ofRLE)
	rq.wanted = map[string][]string{seriesOf(ofRLE)[0].SOPClassUID: {dict.ImplicitVRLittleEndian}}
	g, err := tr.get(rq) // which looks at the transfer syntaxes
	if err := errors.Join(err, g.err); err != nil {
		return err
	}
	if len(g.came) < len(seriesOf(ofRLE)) && g.Status == dimse.Success {
		return fmt.Errorf("%d of %d instances came, and the status is %s", len(g.came), len(seriesOf(ofRLE)), g.Status)
	}
	return tr.complete(wholeSeries(ofRLE), seriesOf(ofRLE))
}

// preparedAnew: retrieves of different SOP classes and transfer syntaxes follow each other, with lists in between.
func preparedAnew(tr *trial) error {
	inv, err := tr.lookUp()
	if err != nil {
		return err
	}
	for i, n := range []int{ofReports, ofCT, ofRLE, ofRLE, ofImplicit, ofLarge, ofReports} {
		rq := wholeSeries(n)
		rq.inv = inv
		if err := tr.complete(rq, seriesOf(n)); err != nil {
			return fmt.Errorf("retrieve %d: %w", i+1, err)
		}
		if i%2 == 0 {
			if err := tr.listInstances(inv, inv.Series[ofCT], source.ImageKeys); err != nil {
				return err
			}
		}
	}
	return nil
}

// brokenRetrieve: a retrieve that breaks off is an error, and so is the end of the instance that it breaks off in; what
// came before is whole.
func brokenRetrieve(tr *trial) error {
	for _, after := range []int{0, 2} {
		tr.Break(after)
		g, err := tr.get(wholeSeries(ofCT))
		if err != nil {
			return err
		}
		if g.err == nil {
			return fmt.Errorf(
				"the retrieve breaks off after %d instances, and is answered with status %s", after, g.Status,
			)
		}
		whole := slices.DeleteFunc(g.came, func(a arrival) bool { return a.err != nil })
		if err := compare(whole, among(whole, seriesOf(ofCT))); err != nil {
			return fmt.Errorf("the retrieve breaks off after %d instances: %w", after, err)
		}
		if len(whole) > after {
			return fmt.Errorf("the retrieve breaks off after %d instances, and %d come whole", after, len(whole))
		}
		if err := tr.abort(); err != nil {
			return err
		}
	}
	return nil
}

// among returns those of the instances that came under their UIDs.
func among(came []arrival, all []*phantom.Instance) (some []*phantom.Instance) {
	for _, in := range all {
		if slices.ContainsFunc(came, func(a arrival) bool { return a.uid == in.SOPInstanceUID }) {
			some = append(some, in)
		}
	}
	return some
}

// againAfterError: after a retrieve has broken off, and Abort, everything can be asked for and got again.
func againAfterError(tr *trial) error {
	for range 2 {
		tr.Break(1)
		if _, err := tr.get(wholeSeries(ofCT)); err != nil {
			return err
		}
		if err := tr.abort(); err != nil {
			return err
		}
		if err := tr.complete(wholeSeries(ofCT), seriesOf(ofCT)); err != nil {
			return fmt.Errorf("the second time: %w", err)
		}
	}
	return nil
}

// refusedThere: what the peer fails with doesn't come, and the answer tells so; all else comes.
func refusedThere(tr *trial) error {
	refused := seriesOf(ofCT)[3]
	tr.Refuse(refused.SOPInstanceUID)
	rest := slices.DeleteFunc(slices.Clone(seriesOf(ofCT)), func(in *phantom.Instance) bool { return in == refused })
	alone := wholeSeries(ofCT)
	alone.uids = uidsOf([]*phantom.Instance{refused})
	for _, c := range []struct {
		rq   request
		want []*phantom.Instance
	}{{wholeSeries(ofCT), rest}, {alone, nil}} {
		g, err := tr.get(c.rq)
		if err := errors.Join(err, g.err); err != nil {
			return err
		}
		if err := compare(g.came, c.want); err != nil {
			return err
		}
		named := g.FailedSOPInstanceUIDs
		switch {
		case g.Status == dimse.Success:
			return fmt.Errorf("the peer fails with an instance, and the status is %s", g.Status)
		case g.Failed.Present && g.Failed.Value != 1:
			return fmt.Errorf("the peer fails with an instance, and the result counts %d that failed", g.Failed.Value)
		case len(named) > 0 && !slices.Equal(named, []string{refused.SOPInstanceUID}):
			return fmt.Errorf("the peer fails with instance %s, and the result names %q", refused.SOPInstanceUID, named)
		}
	}
	return nil
}

// refusedHere: what is answered with a failure here is told to the peer, or is counted as failed; all else comes,
// unless the whole fails.
func refusedHere(tr *trial) error {
	refused := seriesOf(ofCT)[2].SOPInstanceUID
	for _, status := range []dimse.Status{dimse.CannotUnderstand, dimse.ProcessingFailure} {
		rq := wholeSeries(ofCT)
		rq.answer = func(_ int, a *arrival) (dimse.Status, int64) {
			if a.uid == refused {
				return status, everything
			}
			return dimse.Success, everything
		}
		g, err := tr.get(rq)
		if err := errors.Join(err, g.err); err != nil {
			return err
		}
		want := seriesOf(ofCT)
		if g.Status.Class() == dimse.ClassFailure { // some send no more then
			want = among(g.came, want)
		}
		if err := compare(g.came, want); err != nil {
			return err
		}
		if g.Status == dimse.Success {
			return fmt.Errorf("an instance was answered %s, and the status of the retrieve is %s", status, g.Status)
		}
	}
	return nil
}

// leftUnread: of what is not read, or not to its end, nothing is left where the next one begins.
func leftUnread(tr *trial) error {
	for _, read := range []int64{0, 1, 300} {
		rq := wholeSeries(ofCT)
		rq.answer = func(n int, _ *arrival) (dimse.Status, int64) {
			if n%2 == 1 {
				return dimse.Success, read
			}
			return dimse.Success, everything
		}
		g, err := tr.get(rq)
		if err := errors.Join(err, g.err); err != nil {
			return err
		}
		var whole []arrival
		for i, a := range g.came {
			if i%2 == 1 {
				whole = append(whole, a)
			}
		}
		if err := compare(whole, among(whole, seriesOf(ofCT))); err != nil {
			return fmt.Errorf("%d bytes were read of every other instance: %w", read, err)
		}
		if len(g.came) != len(seriesOf(ofCT)) || g.Status != dimse.Success {
			return fmt.Errorf("%d of %d instances came, with status %s", len(g.came), len(seriesOf(ofCT)), g.Status)
		}
	}
	return nil
}

// statuses: what the peer answers to the whole is handed on as it is, with nothing that came, and is no error; the next
// retrieve is one like others.
func statuses(tr *trial) error {
	for _, status := range []dimse.Status{
		dimse.OutOfResourcesMatches, dimse.OutOfResourcesSubOps, dimse.DataSetMismatch, dimse.CannotUnderstand, 0xC123,
		dimse.RefusedNotAuthorized,
	} {
		tr.Deny(status)
		g, err := tr.get(wholeSeries(ofCT))
		switch {
		case err != nil:
			return err
		case g.err != nil:
			return fmt.Errorf("the peer answers status %s, and that is an error: %w", status, g.err)
		case g.Status != status:
			return fmt.Errorf("the peer answers status %s, and the result has %s", status, g.Status)
		case len(g.came) > 0:
			return fmt.Errorf(
				"the peer answers status %s and sends nothing, and %d instances come", status, len(g.came),
			)
		}
		if err := tr.complete(wholeSeries(ofCT), seriesOf(ofCT)); err != nil {
			return fmt.Errorf("after status %s: %w", status, err)
		}
	}
	return nil
}

// tooFew: a success that brings too few is handed on with what came, and counts no more than that.
func tooFew(tr *trial) error {
	for _, after := range []int{1, len(seriesOf(ofCT)) - 1} {
		tr.Short(after)
		g, err := tr.get(wholeSeries(ofCT))
		if err := errors.Join(err, g.err); err != nil {
			return err
		}
		if err := compare(g.came, among(g.came, seriesOf(ofCT))); err != nil {
			return err
		}
		if len(g.came) != after {
			return fmt.Errorf("the peer sends %d instances, and %d come", after, len(g.came))
		}
	}
	return nil
}

// stopped: a retrieve that is told to stop ends politely: with the answer to that, and with what is open as good as
// before.
func stopped(tr *trial) error {
	for _, after := range []int{0, 1, 3} {
		tr.Hold(after)
		rq := wholeSeries(ofCT)
		rq.stop = make(chan struct{})
		if after == 0 {
			close(rq.stop)
		}
		rq.answer = func(n int, _ *arrival) (dimse.Status, int64) {
			if n == after {
				close(rq.stop)
			}
			return dimse.Success, everything
		}
		g, err := tr.get(rq)
		switch {
		case err != nil:
			return err
		case g.err != nil:
			return fmt.Errorf("a retrieve that was stopped after %d instances is an error: %w", after, g.err)
		case g.Status.Class() != dimse.ClassCancel:
			return fmt.Errorf("a retrieve that was stopped after %d instances has the status %s", after, g.Status)
		case len(g.came) != after:
			return fmt.Errorf("a retrieve was stopped after %d instances, and brings %d", after, len(g.came))
		}
		if err := compare(g.came, among(g.came, seriesOf(ofCT))); err != nil {
			return err
		}
		if err := tr.complete(wholeSeries(ofCT), seriesOf(ofCT)); err != nil {
			return fmt.Errorf("after a retrieve that was stopped: %w", err)
		}
	}
	return nil
}

// endedContext: a retrieve whose context ends is an error, and returns soon; then everything can be got again.
func endedContext(tr *trial) error {
	for _, after := range []int{1, 2} {
		ctx, cancel := context.WithCancel(tr.ctx)
		defer cancel()
		tr.Hold(after)
		rq := wholeSeries(ofCT)
		rq.ctx = ctx
		rq.answer = func(n int, _ *arrival) (dimse.Status, int64) {
			if n == after {
				cancel()
			}
			return dimse.Success, 0 // it may not come to its end any more
		}
		g, err := tr.get(rq)
		if err != nil {
			return err
		}
		if g.err == nil {
			return fmt.Errorf(
				"the context of a retrieve ended after %d instances, and its status is %s", after, g.Status,
			)
		}
		if err := tr.abort(); err != nil {
			return err
		}
		if err := tr.complete(wholeSeries(ofCT), seriesOf(ofCT)); err != nil {
			return fmt.Errorf("after a retrieve whose context ended: %w", err)
		}
	}
	return nil
}

// dropped: what was dropped while it was idle is opened anew, without an error, wherever that happens.
func dropped(tr *trial) error {
	inv, err := tr.lookUp()
	if err != nil {
		return err
	}
	rq := wholeSeries(ofCT)
	rq.inv = inv
	for range 2 {
		tr.Drop()
		if err := tr.complete(rq, seriesOf(ofCT)); err != nil {
			return err
		}
	}
	tr.Drop()
	return tr.listSeries(inv)
}

// begun: what Begin has opened serves; it opens nothing that is open, and leaves nothing open that is not wanted any
// more.
func begun(tr *trial) error {
	over, cancel := context.WithCancel(tr.ctx)
	cancel()
	begin := func(ctx context.Context) error {
		return tr.do("Begin", func() error { return tr.Source.Begin(ctx) })
	}
	if err := begin(over); err == nil {
		return errors.New("Begin with a context that has ended is no error")
	}
	if err := tr.quiet("Begin with a context that has ended"); err != nil {
		return err
	}
	if tr.Source.Lasts() {
		return errors.New("nothing is open, and Lasts says that it is of use")
	}
	for range 2 {
		if err := begin(tr.ctx); err != nil {
			return fmt.Errorf("Begin: %w", err)
		}
	}
	if err := begin(over); err != nil {
		return fmt.Errorf("Begin where something is open: %w", err)
	}
	if err := tr.complete(wholeSeries(ofCT), seriesOf(ofCT)); err != nil {
		return err
	}
	if err := tr.release(); err != nil {
		return err
	}
	if tr.Source.Lasts() {
		return errors.New("nothing is open after Release, and Lasts says that it is of use")
	}
	return tr.quiet("Release")
}

// away: of a peer that can't be reached nothing is said, least of all that it has nothing.
func away(tr *trial) error {
	inv, err := tr.lookUp()
	if err != nil {
		return err
	}
	lists, err := tr.listsInstances()
	if err := errors.Join(err, tr.release()); err != nil {
		return err
	}
	tr.Away()
	asks := []question{
		{level: "Begin", ask: func(tr *trial) error {
			return tr.do("Begin", func() error { return tr.Source.Begin(tr.ctx) })
		}},
		{level: "Get", ask: func(tr *trial) error {
			rq := wholeSeries(ofCT)
			rq.inv = inv
			g, err := tr.get(rq)
			return errors.Join(err, g.err)
		}},
	}
	for _, q := range append(questions(), asks...) {
		if q.level == "IMAGE" && !lists {
			continue
		}
		if err := q.ask(tr); err == nil || errors.Is(err, source.ErrNoStudy) {
			return fmt.Errorf("%s: the peer can't be reached: %s", q.level, said(err))
		}
	}
	return tr.release()
}

// endedAnyTime: Release and Abort may be called at any time, and twice; nothing is open afterwards, and the source can
// be used again.
func endedAnyTime(tr *trial) error {
	for name, end := range map[string]func() error{"Release": tr.release, "Abort": tr.abort} {
		for i, before := range []func() error{
			func() error { return nil },
			func() error { return tr.do("Begin", func() error { return tr.Source.Begin(tr.ctx) }) },
			func() error { _, err := tr.lookUp(); return err },
			func() error { return tr.complete(wholeSeries(ofReports), seriesOf(ofReports)) },
			func() error { return tr.complete(wholeSeries(ofCT), seriesOf(ofCT)) },
		} {
			if err := before(); err != nil {
				return err
			}
			for range 2 {
				if err := end(); err != nil {
					return err
				}
				if err := tr.quiet(name); err != nil {
					return fmt.Errorf("step %d: %w", i, err)
				}
			}
		}
		if err := errors.Join(tr.abort(), tr.release()); err != nil {
			return err
		}
	}
	over, cancel := context.WithCancel(tr.ctx)
	cancel()
	if _, err := tr.lookUp(); err != nil {
		return err
	}
	if err := tr.do("Release", func() error { tr.Source.Release(over); return nil }); err != nil {
		return err
	}
	return tr.quiet("Release with a context that has ended")
}

// movedFrom: what can be moved from says by what, and says so always.
func movedFrom(tr *trial) error {
	first, can := tr.Source.Mover()
	if can != (first != nil) {
		return fmt.Errorf("Mover returns %v, and says %v", first, can)
	}
	if _, err := tr.lookUp(); err != nil {
		return err
	}
	if _, again := tr.Source.Mover(); again != can {
		return errors.New("Mover says something else when something is open")
	}
	return nil
}

// SPDX-License-Identifier: AGPL-3.0-or-later

package doctor

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/adit-go/adit/db"
	"github.com/adit-go/adit/dicom/dict"
	"github.com/adit-go/adit/dicom/dimse"
	"github.com/adit-go/adit/dicom/stream"
	"github.com/adit-go/adit/engine/door"
	"github.com/adit-go/adit/engine/fault"
	"github.com/adit-go/adit/engine/nodes"
	"github.com/adit-go/adit/engine/query"
	"github.com/adit-go/adit/engine/source"
)

// Check is one thing that was tried at a DICOM node.
type Check struct {
	Name   string // "echo", "find", "get", …
	OK     bool
	Detail string // what was seen, and what to do if it failed
}

// Suggestion is a setting of a server that doesn't fit what was seen of it. Setting is its path in the settings as the
// API names them.
type Suggestion struct {
	Setting        string
	Now, Suggested any
	Why            string
}

// Report is what the check of a DICOM node found.
type Report struct {
	Checks      []Check
	Suggestions []Suggestion
}

// doctor tries what a server can do, over one interactive slot and a second one for what a C-MOVE brings, and takes
// down what it sees.
type doctor struct {
	svc     *Service
	node    nodes.DICOMNode
	peer    door.Peer
	slot    *door.Slot
	title   string      // of our receiver, as the server knows it
	unsaved bool        // it is not one of our servers
	unasked bool        // nobody has said which services it offers: it is asked for all
	tell    func(Check) // is told of each check as it is done
	report  Report
	offers  map[string]bool // by SOP class
	byWeb   bool            // it searches by QIDO-RS
	sampled *sampled        // what C-FIND has found to try; nil: nothing
}

func (d *doctor) goodf(name, format string, args ...any) {
	d.note(Check{name, true, fmt.Sprintf(format, args...)})
}

func (d *doctor) badf(name, format string, args ...any) {
	d.note(Check{name, false, fmt.Sprintf(format, args...)})
}

func (d *doctor) note(c Check) {
	d.report.Checks = append(d.report.Checks, c)
	d.tell(c)
}

// suggest takes down a setting that doesn't fit.
func (d *doctor) suggest(setting string, now, suggested any, why string) {
	d.report.Suggestions = append(d.report.Suggestions, Suggestion{setting, now, suggested, why})
}

// examine goes as far as the server lets it. The error is of the context or the database only: what the server does
// wrong is a check.
func (d *doctor) examine(ctx context.Context) error {
	if d.peer.Addr != "" {
		d.associations(ctx)
	}
	if d.peer.Web != nil && ctx.Err() == nil {
		(&webDoctor{doctor: d}).web(ctx)
	}
	return ctx.Err()
}

// associations tries what goes over associations.
func (d *doctor) associations(ctx context.Context) {
	if d.node.Server.Tls && !d.secured(ctx) || !d.reach(ctx) || ctx.Err() != nil {
		return
	}
	if d.node.Server.StoreScp && d.offers[dict.CTImageStorage] {
		d.takes(ctx)
	}
	asked := *d.node.Server
	asked.QidoRs, asked.FindImages, asked.IgnoreCounts = false, true, false // whatever the settings say
	src := &source.Server{
		Node: nodes.DICOMNode{ID: d.node.ID, Name: d.node.Name, Server: &asked}, Peer: d.peer, Slot: d.slot,
	}
	defer src.Release(ctx)
	if study := d.find(ctx, src); study != nil {
		d.sampled = study
		d.retrieve(ctx, src, study)
		d.move(ctx, src, study)
	}
}

// asks names a check of searches, by how they are made.
func (d *doctor) asks(what string) string {
	if d.byWeb {
		return "qido " + what
	}
	return "find " + what
}

// reach opens an association, echoes, and compares what the server offers with its settings.
func (d *doctor) reach(ctx context.Context) bool {
	start := time.Now()
	a, err := d.slot.Open(ctx, d.peer, checkContexts())
	if err != nil {
		d.badf("association", "%s", fault.Sentence(err))
		if !d.node.Server.Tls && ctx.Err() == nil {
			d.wantsTLS(ctx, err)
		}
		return false
	}
	defer func() { _ = a.Release(ctx) }() // it ends in any case
	d.goodf("association", "It was open after %s.", milliseconds(time.Since(start)))
	if len(a.Accepted(dict.Verification)) == 0 {
		d.badf("echo",
			"The server opens associations, but doesn't offer C-ECHO to this AE title; ask its administrator to "+
				"allow it.",
		)
	} else if start = time.Now(); !d.tried("echo", a.Echo(ctx)) {
		return false
	} else {
		d.goodf("echo", "C-ECHO was answered in %s.", milliseconds(time.Since(start)))
	}
	d.compare(a)
	return true
}

// compare looks at what the server accepts, and what its settings say.
func (d *doctor) compare(a *door.Association) {
	all := services(d.node.Server)
	offered := map[string]bool{} // by the kind of service
	d.offers = map[string]bool{}
	var lacking []service
	for _, s := range all {
		accepted := len(a.Accepted(s.class)) > 0
		d.offers[s.class] = accepted
		switch {
		case s.on && accepted:
			offered[s.kind] = true
			d.goodf(s.name, "The server offers it.")
		case s.on:
			lacking = append(lacking, s)
			d.badf(s.name, "The server doesn't offer it to this AE title; ask its administrator to allow it, or take "+
				"it off the server's settings.")
		}
	}
	for _, s := range all {
		if s.on || !d.offers[s.class] || offered[s.kind] {
			continue
		}
		if d.unasked {
			d.found(s, offered)
			continue
		}
		if s.kind == "store" {
			d.goodf(s.name, "The server offers it as well, but its settings leave it out, so ADIT sends nothing there.")
			continue
		}
		if s.kind == "move" && (offered["get"] || d.node.Server.WadoRs) {
			d.goodf(s.name, "The server offers it as well; ADIT needs it only where nothing else brings what it asks for.")
			continue
		}
		offered[s.kind] = true
		d.goodf(s.name, "The server offers it, but its settings leave it out.")
		d.suggest(s.setting, false, true, "the server offers it")
	}
	if len(offered) == 0 {
		return // a server without services can't be set; its administrator must say
	}
	for _, s := range lacking {
		d.suggest(s.setting, true, false, "the server doesn't offer it to this AE title")
	}
}

// found takes down a service of a server of which nobody has said what it offers, and goes on as if it had been said.
func (d *doctor) found(s service, offered map[string]bool) {
	if s.kind == "store" {
		d.goodf(s.name, "The server offers it, too; name it among its services if ADIT is to send there.")
		return
	}
	offered[s.kind] = true
	d.goodf(s.name, "The server offers it.")
	d.suggest(s.setting, false, true, "the server offers it")
	*s.setIn(d.node.Server) = true
}

// tried takes an error down as a failed check.
func (d *doctor) tried(name string, err error) bool {
	if err != nil {
		d.badf(name, "%s", fault.Sentence(err))
	}
	return err == nil
}

func milliseconds(d time.Duration) time.Duration { return d.Round(time.Millisecond / 10) }

// takes asks in which transfer syntaxes the server takes CT images.
func (d *doctor) takes(ctx context.Context) {
	var contexts []dimse.Context
	for _, syntax := range source.Proposals([]string{dict.CTImageStorage}, nil, nil)[dict.CTImageStorage] {
		contexts = append(
			contexts, dimse.Context{AbstractSyntax: dict.CTImageStorage, TransferSyntaxes: []string{syntax}},
		)
	}
	a, err := d.slot.Open(ctx, d.peer, contexts)
	if !d.tried("transfer syntaxes", err) {
		return
	}
	defer func() { _ = a.Release(ctx) }() // it ends in any case
	var names []string
	compressed := false
	for _, c := range a.Contexts() {
		t := dict.TransferSyntaxOf(c.TransferSyntax)
		names = append(names, t.Name)
		compressed = compressed || t.Encapsulated
	}
	if !compressed {
		d.goodf(
			"transfer syntaxes",
			"It takes only uncompressed CT images (%s): compressed images arrive only if their source can "+
				"decompress them.",
			strings.Join(names, ", "),
		)
		return
	}
	d.goodf("transfer syntaxes", "It takes CT images as %s.", strings.Join(names, ", "))
}

// recent is how far back the doctor looks for a study to try.
var recent = []time.Duration{0, 7 * 24 * time.Hour, 90 * 24 * time.Hour, 50 * 365 * 24 * time.Hour}

// sampled is what the doctor found to try: instances of one series, none of a server that doesn't list them.
type sampled struct {
	inv       *source.Inventory
	series    *source.SeriesInventory
	instances []string
	held      []string // transfer syntaxes that the first instance is held in, by its metadata
}

// sample is how many instances are retrieved at the most.
const sample = 8

// find searches at every level, from the newest studies backwards. It gives instances to retrieve, nil if there are
// none.
func (d *doctor) find(ctx context.Context, src *source.Server) *sampled {
	s := d.node.Server
	if !d.byWeb && (!s.StudyRootFind && !s.PatientRootFind || !d.offers[src.FindClass()]) {
		return nil
	}
	study, err := d.anyStudy(ctx, src)
	if !d.tried(d.asks("studies"), err) {
		return nil
	}
	if study == nil {
		d.goodf(d.asks("studies"), "The search works, and finds no study.")
		return nil
	}
	d.lacking(d.asks("studies"), study, source.StudyKeys)
	if filtered, ok := d.keys(ctx, src, study); ok && filtered {
		d.cap(ctx, src)
	}
	inv := &source.Inventory{
		Study: study.String(dict.StudyInstanceUID), PatientID: study.String(dict.PatientID),
		Counted: source.Count(study, dict.NumberOfStudyRelatedInstances),
	}
	if !d.tried(d.asks("series"), src.ListSeries(ctx, inv)) {
		return nil
	}
	if len(inv.Series) == 0 {
		d.badf(d.asks("series"), "A study's series are listed without a Series Instance UID.")
		return nil
	}
	series := inv.Series[0]
	d.goodf(d.asks("series"), "A study's series are listed.")
	if _, err := src.ListInstances(ctx, inv, series, source.ImageKeys); !d.tried(d.asks("images"), err) {
		return nil
	}
	d.completeness(series, inv)
	return &sampled{inv: inv, series: series, instances: slices.Sorted(maps.Keys(series.Instances))}
}

// keys are criteria that nothing matches: a server that answers to one doesn't filter by it. It gives whether dates are
// filtered, and whether the search still works.
func (d *doctor) keys(ctx context.Context, src *source.Server, study *stream.DataSet) (dates, ok bool) {
	var ignored, refused []string
	dates = true
	for _, key := range []struct {
		tag   dict.Tag
		value string
	}{
		{dict.PatientID, "ADIT-NO-SUCH-ID"},
		{dict.PatientName, "Aditnosuch^Patient"},
		{dict.AccessionNumber, "ADITNOSUCH"},
		{dict.ModalitiesInStudy, "ZZ"},
		{dict.StudyDate, "18000101-18000102"},
	} {
		id := source.LevelQuery("STUDY", []dict.Tag{dict.StudyInstanceUID, dict.StudyDate, dict.PatientID, key.tag})
		if key.tag == dict.StudyDate {
			source.SetKey(id, dict.PatientID, study.String(dict.PatientID))
		} else {
			source.SetKey(id, dict.StudyDate, study.String(dict.StudyDate))
		}
		id.Set(key.tag, key.value)
		n, err := d.matches(ctx, src, id, 1, nil)
		var status *dimse.StatusError
		switch {
		case errors.As(err, &status), d.byWeb && fault.Declined(err):
			refused = append(refused, key.tag.Keyword())
		case query.NotWhole(err): // of answers that match none of the keys
			ignored = append(ignored, key.tag.Keyword())
			dates = dates && key.tag != dict.StudyDate
		case !d.tried(d.asks("keys"), err):
			return false, false
		case n > 0:
			ignored = append(ignored, key.tag.Keyword())
			dates = dates && key.tag != dict.StudyDate
		}
	}
	switch {
	case len(refused) > 0:
		d.badf(
			d.asks("keys"), "The server refuses searches by %s; ask the vendor, or search by something else.",
			strings.Join(refused, ", "),
		)
	case len(ignored) > 0:
		d.goodf(d.asks("keys"), "The server doesn't filter by %s. ADIT filters its answers again, but such "+
			"searches take longer and soon reach its limit of results; "+
			"add further criteria.", strings.Join(ignored, ", "))
	case d.byWeb:
		d.goodf(
			d.asks("keys"), "The server filters by patient, accession number, modality and date.%s",
			d.unknownKey(ctx, src, study),
		)
	default:
		d.goodf(d.asks("keys"), "The server filters by patient, accession number, modality and date.")
	}
	return dates, true
}

// matches counts the answers to a query, up to a limit, and shows each to look. An association on which a query was
// left early isn't used again: some servers answer C-CANCEL by an abort.
func (d *doctor) matches(
	ctx context.Context, src *source.Server, id *stream.DataSet, limit int, look func(*stream.DataSet) bool,
) (int, error) {
	n := 0
	for ds, err := range src.Find(ctx, id) {
		if err != nil && whole(err) == nil {
			break
		}
		if err != nil {
			src.Abort()
			return n, err
		}
		if ds.String(dict.StudyInstanceUID) == "" || look != nil && !look(ds) {
			continue
		}
		if n++; n == limit {
			break
		}
	}
	if n == limit {
		src.Release(ctx)
	}
	return n, nil
}

// cap finds out whether the server ends a search early without a sign: then the parts of a period have more studies
// than the whole.
func (d *doctor) cap(ctx context.Context, src *source.Server) {
	limit := int(d.node.Server.ResultLimit) + 1
	now := time.Now()
	for _, back := range recent[1:] {
		var dates []string
		n, err := d.within(ctx, src, now.Add(-back), now, limit, &dates)
		if query.NotWhole(err) {
			d.capped(n, err)
			return
		}
		if !d.tried(d.asks("limit"), err) {
			return
		}
		if n == limit {
			d.goodf(
				d.asks("limit"), "The server returns more than the %d studies that its result limit allows.", limit-1,
			)
			return
		}
		slices.Sort(dates)
		if dates = slices.Compact(dates); len(dates) < 2 {
			continue
		}
		middle, err := time.Parse("20060102", dates[len(dates)/2])
		if err != nil {
			continue
		}
		older, err := d.within(ctx, src, now.Add(-back), middle.AddDate(0, 0, -1), limit, nil)
		if !d.tried(d.asks("limit"), err) {
			return
		}
		newer, err := d.within(ctx, src, middle, now, limit, nil)
		if !d.tried(d.asks("limit"), err) {
			return
		}
		if older+newer > n {
			d.badf(d.asks("limit"), "The server ends a search after %d studies without saying that there are more. "+
				"Ask its administrator to raise the limit, or search for less at once.", n)
			if n < limit-1 {
				d.suggest(
					"result_limit", limit-1, n,
					"the server never returns more studies, so a list that ends there is incomplete",
				)
			}
			return
		}
	}
	d.goodf(d.asks("limit"), "The search reached no limit of results.")
}

// capped says that the server does not give all answers to a search by QIDO-RS, and does not go on behind them.
func (d *doctor) capped(n int, err error) {
	d.badf(d.asks("limit"), "%s. Ask its administrator to raise the limit, or for pages (limit and offset).",
		strings.TrimSuffix(fault.Sentence(err), "."))
	if limit := int(d.node.Server.ResultLimit); n > 0 && n < limit {
		d.suggest("result_limit", limit, n, "the server never returns more studies, so a list that ends there is incomplete")
	}
}

// within counts the studies of a period, both days included.
func (d *doctor) within(
	ctx context.Context, src *source.Server, from, to time.Time, limit int, dates *[]string,
) (int, error) {
	id := source.LevelQuery("STUDY", []dict.Tag{dict.StudyInstanceUID, dict.StudyDate})
	first, last := from.Format("20060102"), to.Format("20060102")
	id.Set(dict.StudyDate, first+"-"+last)
	return d.matches(ctx, src, id, limit, func(ds *stream.DataSet) bool {
		date := query.DateOf(ds.String(dict.StudyDate))
		if date == "" || date < first || date > last {
			return false
		}
		if dates != nil {
			*dates = append(*dates, date)
		}
		return true
	})
}

// completeness says by what the completeness of a transfer from here can be proven.
func (d *doctor) completeness(s *source.SeriesInventory, inv *source.Inventory) {
	asks := d.node.Server.FindImages
	switch {
	case s.Listed && (s.Counted < 0 || s.Counted == len(s.Instances)):
		d.goodf(d.asks("images"), "The server lists single instances: a transfer can be proven complete.")
		if !asks {
			d.suggest(
				"find_images", false, true, "the server lists instances, so a retry fetches only what is missing",
			)
		}
	case s.Listed:
		d.badf(
			d.asks("images"),
			"The server lists only %[2]d instances of a series of %[1]d: it caps its answers, or counts wrongly. Ask its "+
				"administrator to raise the limit.",
			s.Counted, len(s.Instances),
		)
	case s.Counted >= 0 || inv.Counted >= 0:
		d.goodf(
			d.asks("images"),
			"The server counts instances but doesn't list them (no IMAGE level): the count proves a transfer complete, and a "+
				"retry asks for whole series.",
		)
		if asks {
			d.suggest("find_images", true, false, "the server doesn't list instances; ADIT asks for its counts only")
		}
	case d.byWeb:
		d.badf(d.asks("images"), "The server neither lists nor counts instances: no transfer from here can be proven "+
			"complete, and each ends as a Warning. Ask the vendor for searches for instances by QIDO-RS, or for metadata by "+
			"WADO-RS.")
	default:
		d.badf(d.asks("images"), "The server neither lists nor counts instances: no transfer from here can be proven "+
			"complete, and each ends as a Warning. Ask the vendor for C-FIND at IMAGE level.")
	}
}

// anyStudy returns a study, preferably a recent one, nil if there is none.
func (d *doctor) anyStudy(ctx context.Context, src *source.Server) (*stream.DataSet, error) {
	now := time.Now()
	for _, back := range recent {
		id := source.LevelQuery("STUDY", source.StudyKeys)
		id.Set(dict.StudyDate, now.Add(-back).Format("20060102")+"-"+now.Format("20060102"))
		var found *stream.DataSet
		_, err := d.matches(ctx, src, id, 1, func(ds *stream.DataSet) bool {
			found = ds
			return true
		})
		if query.NotWhole(err) {
			err = nil // the next period has more
		}
		if err != nil || found != nil {
			return found, err
		}
	}
	return nil, nil //nolint:nilnil // an empty server is no error
}

// lacking names the attributes that an answer leaves out although they were asked for.
func (d *doctor) lacking(name string, answer *stream.DataSet, asked []dict.Tag) {
	var missing []string
	for _, tag := range asked {
		if !answer.Has(tag) {
			missing = append(missing, tag.Keyword())
		}
	}
	if len(missing) == 0 {
		d.goodf(name, "The search works, and its answers hold everything that was asked for.")
		return
	}
	slices.Sort(missing)
	d.goodf(
		name, "The search works, but the answers lack %s; ADIT filters searches by them as far as it can.",
		strings.Join(missing, ", "),
	)
}

// retrieve gets a few instances and throws them away.
func (d *doctor) retrieve(ctx context.Context, src *source.Server, sp *sampled) {
	s := d.node.Server
	if !s.StudyRootGet && !s.PatientRootGet || !d.offers[src.GetClass()] {
		return
	}
	uids, enough := sp.instances[:min(sample, len(sp.instances))], sample
	if sp.doubtful() {
		uids, enough = nil, sp.series.Counted
	}
	if !d.tried("get", src.Open(ctx, source.Proposals(sp.series.Classes(), sp.inv.HeldSyntaxes(), nil))) {
		return
	}
	got, came := map[string]int{}, map[string]bool{} // instances by transfer syntax, and by UID
	var bytes int64
	n := 0
	start, stop := time.Now(), make(chan struct{})
	some := source.Request{Of: sp.inv, Series: sp.series.UID, UIDs: uids}
	result, err := src.Get(ctx, some, stop, func(_ context.Context, in *dimse.Incoming) dimse.Status {
		size, err := io.Copy(io.Discard, in.Data)
		if err != nil {
			return dimse.ProcessingFailure
		}
		if n++; n == enough && len(uids) == 0 {
			close(stop) // of a whole series that is enough
		}
		bytes += size
		got[in.TransferSyntaxUID]++
		came[in.SOPInstanceUID] = true
		return dimse.Success
	})
	took := time.Since(start)
	meaning := result.Status.Meaning(dimse.CGet).Text
	switch {
	case n == 0 && err != nil:
		d.badf("get", "%s", fault.Sentence(err))
	case n == 0:
		d.badf(
			"get", "The retrieve ended with status %s, but nothing arrived: %s. Look into the server's log.",
			result.Status, meaning,
		)
	case err == nil && n < len(uids):
		d.badf(
			"get", "Of %d requested instances, %d arrived, and the server says %s: %s. Look into its log.",
			len(uids), n, result.Status, meaning,
		)
	default:
		if err == nil && result.Status == dimse.Success {
			d.judgeCount(sp, len(came))
		}
		d.goodf(
			"get", "%s of %s arrived in %s (%.1f MB/s) as %s.", fault.Instances(n), fault.Megabytes(bytes),
			milliseconds(took), float64(bytes)/1e6/took.Seconds(), syntaxNames(got),
		)
		return
	}
	d.instead()
}

// instead suggests C-MOVE where C-GET did not bring what was asked for.
func (d *doctor) instead() {
	s := d.node.Server
	methods := nodes.MethodsOf(s)
	get, move := slices.Index(methods, nodes.MethodGet), slices.Index(methods, nodes.MethodMove)
	if get >= 0 && get < move {
		other := slices.Clone(methods)
		other[get], other[move] = other[move], other[get]
		d.suggest("retrieve.methods", methods, other, "C-GET did not bring what was asked for")
	}
	if i := slices.IndexFunc(services(s), func(o service) bool {
		return o.kind == "move" && !o.on && d.offers[o.class]
	}); move < 0 && i >= 0 {
		d.suggest(services(s)[i].setting, false, true, "C-GET did not bring what was asked for, and the server offers it")
	}
}

// doubtful reports whether a small series has fewer instances listed than counted: which of the two is right is seen by
// what comes of the whole.
func (sp *sampled) doubtful() bool {
	return sp.series.Listed && sp.series.Counted > len(sp.instances) && sp.series.Counted <= source.LeastCap
}

// judgeCount judges the count of a series by how many instances came of the whole.
func (d *doctor) judgeCount(sp *sampled, came int) {
	if sp.doubtful() && came == len(sp.instances) && !d.node.Server.IgnoreCounts {
		d.suggest("rules.ignore_counts", false, true,
			fmt.Sprintf(
				"the server counts %d instances in a series, but lists and sends %d: its counts are no evidence",
				sp.series.Counted, came,
			))
	}
}

func syntaxNames(uids map[string]int) string {
	var names []string
	for _, uid := range slices.Sorted(maps.Keys(uids)) {
		names = append(names, dict.TransferSyntaxOf(uid).Name)
	}
	return strings.Join(names, ", ")
}

// checkContexts propose everything that a server may offer.
func checkContexts() []dimse.Context {
	contexts := []dimse.Context{{AbstractSyntax: dict.Verification, TransferSyntaxes: door.PlainSyntaxes}}
	for _, s := range services(&db.Server{}) {
		contexts = append(contexts, dimse.Context{AbstractSyntax: s.class, TransferSyntaxes: door.PlainSyntaxes})
	}
	return contexts
}

// service is one that a server may offer.
type service struct {
	name, kind, setting, class string
	setIn                      func(*db.Server) *bool // where its settings say whether it is used
	on                         bool                   // by its settings
}

// services returns all of them, with what a server's settings say.
func services(s *db.Server) []service {
	list := []service{
		{"find (study root)", "find", "supports.study_root_find", dict.StudyRootQueryRetrieveInformationModelFind, findOfStudy, false},
		{"find (patient root)", "find", "supports.patient_root_find", dict.PatientRootQueryRetrieveInformationModelFind, findOfPatient, false},
		{"get (study root)", "get", "supports.study_root_get", dict.StudyRootQueryRetrieveInformationModelGet, getOfStudy, false},
		{"get (patient root)", "get", "supports.patient_root_get", dict.PatientRootQueryRetrieveInformationModelGet, getOfPatient, false},
		{"move (study root)", "move", "supports.study_root_move", dict.StudyRootQueryRetrieveInformationModelMove, moveOfStudy, false},
		{"move (patient root)", "move", "supports.patient_root_move", dict.PatientRootQueryRetrieveInformationModelMove, moveOfPatient, false},
		{"store", "store", "supports.store", dict.CTImageStorage, storeOf, false},
	}
	for i := range list {
		list[i].on = *list[i].setIn(s)
	}
	return list
}

func findOfStudy(s *db.Server) *bool   { return &s.StudyRootFind }
func findOfPatient(s *db.Server) *bool { return &s.PatientRootFind }
func getOfStudy(s *db.Server) *bool    { return &s.StudyRootGet }
func getOfPatient(s *db.Server) *bool  { return &s.PatientRootGet }
func moveOfStudy(s *db.Server) *bool   { return &s.StudyRootMove }
func moveOfPatient(s *db.Server) *bool { return &s.PatientRootMove }
func storeOf(s *db.Server) *bool       { return &s.StoreScp }

// SPDX-License-Identifier: AGPL-3.0-or-later

package doctor

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/adit-go/adit/dicom/dict"
	"github.com/adit-go/adit/dicom/stream"
	"github.com/adit-go/adit/dicom/web"
	"github.com/adit-go/adit/engine/door"
	"github.com/adit-go/adit/engine/fault"
	"github.com/adit-go/adit/engine/nodes"
	"github.com/adit-go/adit/engine/query"
	"github.com/adit-go/adit/engine/source"
)

// webDoctor tries what a server can do by DICOMweb, for a doctor.
type webDoctor struct {
	*doctor
	paged bool // QIDO-RS gives answers page by page
}

// web tries what goes by DICOMweb: that the server answers, that it can be searched, and that it sends instances as it
// has them. Nothing is stored for a trial.
func (d *webDoctor) web(ctx context.Context) {
	s := d.node.Server
	if !d.reachWeb(ctx) {
		return
	}
	d.byWeb = true
	defer func() { d.byWeb = false }()
	study, ok := d.searchWeb(ctx)
	if !ok || ctx.Err() != nil {
		return
	}
	if study == nil {
		study = d.sampled // what C-FIND has found
	}
	switch {
	case study != nil && len(study.instances) > 0:
		d.readWeb(ctx, study)
	case s.WadoRs && !d.unasked:
		d.goodf("wado", "WADO-RS was not tried: there is no instance to ask for that a search has named.")
	}
	switch {
	case d.unasked:
		d.goodf(
			"stow", "Whether it takes instances by STOW-RS can't be known without storing one; name it among its services "+
				"if ADIT is to send there.",
		)
	case s.StowRs:
		d.goodf("stow", "Nothing was stored for a trial: the first transfer will show whether STOW-RS works.")
	}
}

// reachWeb connects, and looks at the certificate.
func (d *webDoctor) reachWeb(ctx context.Context) bool {
	w, err := d.slot.OpenWeb(d.peer)
	if err != nil {
		d.badf("dicomweb", "%s", fault.Sentence(err))
		return false
	}
	start := time.Now()
	err = w.Connect(ctx)
	w.Abort()
	if !d.tried("dicomweb", err) {
		return false
	}
	d.goodf("dicomweb", "The server was connected to in %s.", milliseconds(time.Since(start)))
	for _, warning := range d.node.Warnings() {
		d.goodf("dicomweb settings", "Warning: %s", warning)
	}
	d.webCertificate(ctx)
	return true
}

// webCertificate says who the server is by its certificate. Whether that is trusted the first request shows.
func (d *webDoctor) webCertificate(ctx context.Context) {
	at, ok := d.svc.nodes.Web(d.node)
	root, err := url.Parse(at.Root)
	if !ok || err != nil || at.TLS == nil {
		return
	}
	cfg, err := at.TLS()
	if err != nil {
		return
	}
	cfg = lookingOnly(cfg)
	cfg.ServerName = root.Hostname()
	peer := d.peer
	peer.Addr = net.JoinHostPort(root.Hostname(), cmp.Or(root.Port(), "443"))
	if state, err := d.slot.Handshake(ctx, peer, cfg); err == nil {
		d.certificate("TLS (DICOMweb)", state, leafOf(cfg))
	}
}

// finding is a source that is asked by QIDO-RS alone, whatever the settings say.
func (d *webDoctor) finding(peer door.Peer) *source.Server {
	asked := *d.node.Server
	asked.StudyRootFind, asked.PatientRootFind, asked.QidoRs = false, false, true
	asked.FindImages, asked.IgnoreCounts = true, false
	return &source.Server{
		Node: nodes.DICOMNode{ID: d.node.ID, Name: d.node.Name, Server: &asked}, Peer: peer, Slot: d.slot,
	}
}

// searchWeb searches by QIDO-RS. A server that isn't said to offer it is asked once all the same: by that it is seen
// whether it lets ADIT in. False: the server can't be spoken to.
func (d *webDoctor) searchWeb(ctx context.Context) (study *sampled, ok bool) {
	s := d.node.Server
	src := d.finding(d.peer)
	defer func() { src.Release(ctx) }()
	_, err := d.anyStudy(ctx, src)
	switch {
	case err == nil && !s.QidoRs && (s.StudyRootFind || s.PatientRootFind):
		return nil, true
	case err == nil && (!s.QidoRs || d.unasked):
		d.suggest("supports.qido", false, true, "the server can be searched by QIDO-RS")
	case err == nil:
	case !s.QidoRs && fault.Declined(err):
		return nil, true // as its settings say
	case !s.QidoRs:
		d.badf("dicomweb access", "%s", d.says(err))
		return nil, false
	default:
		d.badf(d.asks("studies"), "%s", d.says(err))
		switch {
		case d.wrongAddress(ctx, err):
			return nil, false
		case fault.Declined(err) && !d.unasked && d.sampled != nil:
			d.suggest("supports.qido", true, false, "the server doesn't answer searches by QIDO-RS at its root URL")
		}
		return nil, fault.Declined(err) && d.sampled != nil
	}
	if study = d.find(ctx, src); study != nil {
		src.Release(ctx)
		d.paging(ctx, study)
	}
	return study, true
}

// paging looks whether the server gives further answers behind those that it gave: only then a list can be shown to be
// whole.
func (d *webDoctor) paging(ctx context.Context, sp *sampled) {
	w, err := d.slot.OpenWeb(d.peer)
	if !d.tried("qido paging", err) {
		return
	}
	defer w.Abort()
	list := web.Search{
		Level: web.Series, In: web.Resource{Study: sp.inv.Study}, Include: []dict.Tag{dict.SeriesInstanceUID},
	}
	for _, err := range w.Search(ctx, list) {
		if err == nil {
			continue
		}
		incomplete, ok := errors.AsType[*web.IncompleteError](err)
		switch {
		case !ok:
			d.badf("qido paging", "%s", d.says(err))
		case d.node.Server.WadoRs:
			d.goodf("qido paging", "The server does not give its answers page by page: %s. What a list of a study may lack "+
				"so ADIT takes from the metadata; searches may find less than there is.", incomplete.Why)
		default:
			d.badf("qido paging", "The server does not give its answers page by page: %s. No list can be shown to be whole, "+
				"so no transfer from here can be proven complete. Ask the vendor for the parameters limit and offset, or let "+
				"ADIT read by WADO-RS.", incomplete.Why)
		}
		return
	}
	d.paged = true
	d.goodf("qido paging", "The server gives its answers page by page, to their end.")
}

// unknownKey says what the server does with a key that it need not know, beside one that it does.
func (d *doctor) unknownKey(ctx context.Context, src *source.Server, study *stream.DataSet) string {
	id := source.LevelQuery("STUDY", []dict.Tag{dict.StudyInstanceUID})
	id.Set(dict.StudyInstanceUID, study.String(dict.StudyInstanceUID))
	id.Set(dict.ProtocolName, "ADITNOSUCH") // it is of series, and no key at all
	n, err := d.matches(ctx, src, id, 1, nil)
	switch {
	case fault.Declined(err):
		return " It refuses keys that it does not know."
	case err == nil && n > 0:
		return " It passes over keys that it does not know, which ADIT never asks by."
	}
	return ""
}

// readWeb asks for metadata and for instances.
func (d *webDoctor) readWeb(ctx context.Context, study *sampled) {
	s := d.node.Server
	if !s.WadoRs && len(nodes.MethodsOf(s)) > 0 {
		return
	}
	w, err := d.slot.OpenWeb(d.peer)
	if !d.tried("wado", err) {
		return
	}
	defer func() { w.Abort() }()
	if !s.WadoRs { // by its settings it can't be read at all
		answer, err := w.Retrieve(ctx, study.resource(study.instances[0]), web.AnySyntax, nil, func(
			_ context.Context, o *web.Object,
		) error {
			_, err := io.Copy(io.Discard, o.Data)
			return err
		})
		if err == nil && answer.Objects > 0 {
			d.goodf("wado", "The server offers it, but its settings leave it out.")
			d.suggest("supports.wado", false, true, "the server sends instances by WADO-RS")
		}
		return
	}
	d.metadata(ctx, w, study)
	if d.wado(ctx, w, study) && d.unasked {
		d.suggest("supports.wado", false, true, "the server sends instances by WADO-RS")
	}
}

// metadata asks for the attributes of an instance, which completeness can be proven by where a search does not do.
func (d *webDoctor) metadata(ctx context.Context, w *door.Web, sp *sampled) {
	n := 0
	for ds, err := range w.Metadata(ctx, sp.resource(sp.instances[0])) {
		switch {
		case fault.Declined(err) && (d.paged || d.sampled != nil):
			d.goodf("metadata", "The server does not give metadata, which ADIT does not need: its lists come whole.")
			return
		case err != nil:
			d.badf("metadata", "%s", d.says(err))
			return
		}
		if ds.String(dict.SOPInstanceUID) == sp.instances[0] {
			n++
		}
		if held := ds.Strings(dict.AvailableTransferSyntaxUID); len(held) > 0 {
			sp.held = held
		}
	}
	if n != 1 {
		d.badf("metadata", "The server answers a request for the metadata of an instance with something else. "+
			"Look into its log.")
		return
	}
	d.goodf("metadata", "The server tells the metadata of an instance.")
}

func (sp *sampled) resource(instance string) web.Resource {
	return web.Resource{Study: sp.inv.Study, Series: sp.series.UID, Instance: instance}
}

// sampling is what came of instances that were asked for by WADO-RS.
type sampling struct {
	n, converted int
	bytes        int64
	syntaxes     map[string]int // instances by transfer syntax
	came         map[string]bool
	refusesAny   bool // the server knows no way of asking for what it has as it has it
}

// wado gets a few instances as the server has them, or a small series of which it counts more than it lists, and throws
// them away. It reports whether they came.
func (d *webDoctor) wado(ctx context.Context, w *door.Web, sp *sampled) bool {
	got := sampling{syntaxes: map[string]int{}, came: map[string]bool{}}
	var resources []web.Resource
	for _, uid := range sp.instances[:min(sample, len(sp.instances))] {
		resources = append(resources, sp.resource(uid))
	}
	if sp.doubtful() {
		resources = []web.Resource{sp.resource("")}
	}
	start := time.Now()
	for _, r := range resources {
		answer, err := d.fetch(ctx, w, sp, r, web.AnySyntax, &got)
		if err == nil && answer.Status == http.StatusNotAcceptable {
			got.refusesAny = true
			answer, err = d.fetch(ctx, w, sp, r, dict.ExplicitVRLittleEndian, &got)
		}
		if err != nil {
			d.badf("wado", "%s", d.says(err))
			d.readOtherwise(ctx, "WADO-RS did not bring what was asked for")
			return false
		}
		if answer.Objects == 0 {
			d.nothingCame(ctx, answer.Status)
			return false
		}
	}
	if sp.doubtful() {
		d.judgeCount(sp, len(got.came))
	}
	d.note(Check{"wado", got.converted == 0, got.describe(time.Since(start))})
	return true
}

// fetch makes one request.
func (d *webDoctor) fetch(
	ctx context.Context, w *door.Web, sp *sampled, r web.Resource, syntax string, got *sampling,
) (web.Retrieved, error) {
	return w.Retrieve(ctx, r, syntax, nil, func(_ context.Context, o *web.Object) error {
		size, err := io.Copy(io.Discard, o.Data)
		if err != nil {
			return err
		}
		if r.Instance != "" && o.SOPInstanceUID != r.Instance {
			return errors.New("the server sends another instance than was asked for; look into its log")
		}
		got.n++
		got.bytes += size
		got.syntaxes[o.TransferSyntaxUID]++
		got.came[o.SOPInstanceUID] = true
		held := sp.series.Instances[o.SOPInstanceUID].Syntaxes
		if len(held) == 0 && o.SOPInstanceUID == sp.instances[0] {
			held = sp.held
		}
		if len(held) > 0 && !slices.Contains(held, o.TransferSyntaxUID) {
			got.converted++
		}
		return nil
	})
}

func (got *sampling) describe(took time.Duration) string {
	text := fmt.Sprintf(
		"%s of %s arrived in %s (%.1f MB/s) as %s.", fault.Instances(got.n), fault.Megabytes(got.bytes), milliseconds(took),
		float64(got.bytes)/1e6/took.Seconds(), syntaxNames(got.syntaxes),
	)
	switch {
	case got.refusesAny:
		text += " The server refuses to send them as it has them (status 406), so that ADIT asks for uncompressed ones."
	case got.converted > 0:
		text += " It does not send them in the transfer syntax that it has them in, as it was asked to: what arrives is " +
			"not what it holds, byte for byte. Look for a setting there that has it transcode, or read by C-GET."
	}
	return text
}

// notOffered are the answers of a server that does not do WADO-RS at all.
var notOffered = []int{http.StatusNotFound, http.StatusMethodNotAllowed, http.StatusNotImplemented}

// nothingCame says that a request for an instance brought nothing.
func (d *webDoctor) nothingCame(ctx context.Context, status int) {
	if d.unasked && slices.Contains(notOffered, status) {
		d.goodf("wado", "The server does not send instances by WADO-RS (status %d).", status)
		return
	}
	d.badf(
		"wado", "The server answers the request for an instance that it lists with status %d (%s), and sends nothing of it. "+
			"Look into its log, and check the path of WADO-RS (dicomweb.wado_prefix).", status, http.StatusText(status),
	)
	d.readOtherwise(ctx, fmt.Sprintf("the server answers WADO-RS with status %d", status))
}

// readOtherwise suggests that WADO-RS is tried last, if there is another method of retrieving.
func (d *webDoctor) readOtherwise(ctx context.Context, why string) {
	methods := nodes.MethodsOf(d.node.Server)
	i := slices.Index(methods, nodes.MethodWADO)
	if d.unasked || ctx.Err() != nil || i < 0 || i == len(methods)-1 {
		return
	}
	d.suggest("retrieve.methods", methods, append(slices.Delete(slices.Clone(methods), i, i+1), nodes.MethodWADO), why)
}

// roots are paths below which servers have their DICOMweb services.
var roots = []string{"/dicom-web", "/dicomweb", "/rs"}

// wrongAddress looks whether the services are a little further down, or up, than the root URL says, where the server
// knows nothing of searches there. It suggests what it finds.
func (d *webDoctor) wrongAddress(ctx context.Context, err error) bool {
	_, page := errors.AsType[*web.AnswerError](err)
	if !page && !fault.IsWebAnswer(err, append([]int{http.StatusBadRequest}, notOffered...)...) {
		return false
	}
	root := d.node.Server.WebRootUrl
	var others []string
	if up, found := strings.CutSuffix(root, "/studies"); found {
		others = append(others, up)
	}
	for _, path := range roots {
		if !strings.HasSuffix(root, path) {
			others = append(others, root+path)
		}
	}
	for _, other := range others {
		peer := d.peer
		peer.Web = func() (web.Config, error) {
			cfg, err := d.peer.Web()
			cfg.Root = other
			return cfg, err
		}
		src := d.finding(peer)
		_, err := d.anyStudy(ctx, src)
		src.Release(ctx)
		if err == nil {
			d.suggest("dicomweb.root_url", root, other, "searches are answered there")
			return true
		}
	}
	return false
}

// whole drops the doubt of a list that its server may just have no pages for.
func whole(err error) error {
	if source.CutShort(err) && !query.NotWhole(err) {
		return nil
	}
	return err
}

// SPDX-License-Identifier: AGPL-3.0-or-later

package pacs

import (
	"cmp"
	"context"
	"crypto/sha256"
	"crypto/tls"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/adit-go/adit/dicom/dict"
	"github.com/adit-go/adit/dicom/dimse"
	"github.com/adit-go/adit/dicom/pacs/internal/rest"
	"github.com/adit-go/adit/dicom/stream"
)

// WebConfig says how a PACS serves DICOMweb. The zero value is HTTP on a free port of the loopback interface, for
// anybody.
type WebConfig struct {
	Listen string      // host:port for Start; 127.0.0.1:0 when empty
	Root   string      // path in front of all resources; /dicom-web when empty
	TLS    *tls.Config // nil: HTTP; else HTTPS, and HTTP/2 where the client has it

	Authorization string   // the header that has the credentials; Authorization when empty
	Credentials   []string // what is taken, such as BasicAuth gives; with neither these nor Accepts, anybody is
	// Accepts is for credentials that are not known before. It is called on goroutines of the requests.
	Accepts func(credentials string) bool
}

// BasicAuth returns the credentials of a user (RFC 7617).
func BasicAuth(user, password string) string {
	return "Basic " + base64.StdEncoding.EncodeToString([]byte(user+":"+password))
}

type (
	// WebFaults are those of DICOMweb.
	WebFaults = rest.Faults
	// WebAnswerFaults are those of answers, whatever is asked for.
	WebAnswerFaults = rest.AnswerFaults
	// WebSearchFaults are those of QIDO-RS.
	WebSearchFaults = rest.SearchFaults
	// WebMetadataFaults are those of metadata.
	WebMetadataFaults = rest.MetadataFaults
	// WebRetrieveFaults are those of WADO-RS.
	WebRetrieveFaults = rest.RetrieveFaults
	// WebStoreFaults are those of STOW-RS.
	WebStoreFaults = rest.StoreFaults
	// WebForm says how a multipart body differs from that of the standard.
	WebForm = rest.Form
)

// The values of WebAnswerFaults.Cut and WebStoreFaults.CutObject.
const (
	CutEnd   = rest.CutEnd
	CutDrop  = rest.CutDrop
	CutStall = rest.CutStall
)

// WebURL returns the root of DICOMweb after Start, without a slash at its end; empty if Config.Web is nil.
func (p *PACS) WebURL() string {
	if p.webAddr == nil {
		return ""
	}
	scheme := "http"
	if p.cfg.Web.TLS != nil {
		scheme = "https"
	}
	return scheme + "://" + p.webAddr.String() + p.webRoot()
}

func (p *PACS) webRoot() string { return cmp.Or(p.cfg.Web.Root, "/dicom-web") }

func (p *PACS) startWeb(ctx context.Context) error {
	addr := cmp.Or(p.cfg.Web.Listen, "127.0.0.1:0")
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", addr)
	if err != nil {
		return fmt.Errorf("the demo PACS cannot listen for DICOMweb on %s: %w", addr, err)
	}
	p.webAddr, p.webServed = l.Addr(), make(chan error, 1)
	go func() { p.webServed <- p.ServeWeb(ctx, l) }()
	return nil
}

// ServeWeb serves DICOMweb as Config.Web says until ctx ends, then ends what is open, and returns nil. Config.Web must
// not be nil.
func (p *PACS) ServeWeb(ctx context.Context, l net.Listener) error {
	cfg := p.cfg.Web
	settings := rest.Settings{Root: p.webRoot(), Authorization: cfg.Authorization}
	if cfg.Accepts != nil || len(cfg.Credentials) > 0 {
		settings.Accepts = func(given string) bool {
			return slices.Contains(cfg.Credentials, given) || cfg.Accepts != nil && cfg.Accepts(given)
		}
	}
	var open sync.WaitGroup
	h := rest.New(backend{p}, settings)
	s := &http.Server{
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			open.Add(1)
			defer open.Done()
			h.ServeHTTP(w, r)
		}),
		BaseContext:       func(net.Listener) context.Context { return ctx },
		ConnState:         p.recorder.connection,
		TLSConfig:         cfg.TLS.Clone(), // the server sets what it speaks in it
		ReadHeaderTimeout: time.Minute,
		ErrorLog:          slog.NewLogLogger(slog.DiscardHandler, slog.LevelDebug), // faults are wanted
	}
	closed := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(closed)
		_ = s.Close() // what is open ends
	})
	var err error
	if cfg.TLS != nil {
		err = s.ServeTLS(l, "", "")
	} else {
		err = s.Serve(l)
	}
	if !stop() {
		<-closed
	}
	open.Wait()
	if errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return err
}

// backend is a PACS as package rest sees it.
type backend struct{ p *PACS }

// Search implements rest.Backend.
func (b backend) Search(l string, keys *stream.DataSet, matches bool) []rest.Match {
	rq := request{identifier: keys, level: levels[l]}
	chosen := rq.matches
	if !matches {
		chosen = func(row, level) bool { return true }
	}
	var found []rest.Match
	for _, r := range b.p.archive.rows(rq.level, chosen) {
		f := FindFaults{}
		if away := b.p.faultsOf([]string{r.attributes.String(dict.StudyInstanceUID)}).away(); away != "" {
			f.Answers = map[dict.Tag][]string{dict.InstanceAvailability: {away}}
		}
		found = append(found, rest.Match{UID: r.uid(rq.level), Answer: func() *stream.DataSet {
			ds := rq.answer(r, f, ListFaults{})
			ds.Remove(dict.QueryRetrieveLevel)
			return ds
		}})
	}
	return found
}

// Supports implements rest.Backend.
func (b backend) Supports(l string) []dict.Tag {
	list := slices.Clone(always)
	for tag, at := range levelOf {
		if at <= levels[l] {
			list = append(list, tag)
		}
	}
	return list
}

// Instances implements rest.Backend.
func (b backend) Instances(study, series, instance string) []rest.Instance {
	b.p.archive.mu.RLock()
	defer b.p.archive.mu.RUnlock()
	st := b.p.archive.byUID[study]
	if st == nil {
		return nil
	}
	var list []rest.Instance
	for _, se := range st.series {
		if series != "" && se.uid != series {
			continue
		}
		for _, o := range se.objects {
			if instance == "" || o.sopInstanceUID == instance {
				list = append(list, o.forWeb())
			}
		}
	}
	return list
}

// Instance implements rest.Backend.
func (b backend) Instance(uid string) (rest.Instance, bool) {
	o := b.p.archive.instance(uid)
	if o == nil {
		return rest.Instance{}, false
	}
	return o.forWeb(), true
}

func (o *object) forWeb() rest.Instance {
	return rest.Instance{
		SOPClassUID: o.sopClassUID, SOPInstanceUID: o.sopInstanceUID, TransferSyntaxUID: o.transferSyntaxUID,
		StudyInstanceUID: o.studyUID, SeriesInstanceUID: o.seriesUID, Open: o.open, OpenWith: o.openWith,
	}
}

// Recall implements rest.Backend: what is away is not found, or not available.
func (b backend) Recall(study string) int {
	status, away := b.p.faultsOf([]string{study}).recall()
	switch {
	case !away:
		return 0
	case status == dimse.Success:
		return http.StatusNotFound
	}
	return http.StatusServiceUnavailable
}

// Keep implements rest.Backend.
func (b backend) Keep(ctx context.Context, r *rest.Request, a rest.Arrival) (int, error) {
	h := a.Object.Header()
	in := &dimse.Incoming{
		SOPClassUID: h.SOPClassUID(), SOPInstanceUID: h.SOPInstanceUID(), TransferSyntaxUID: a.Meta.TransferSyntaxUID,
	}
	data := &hashed{r: a.Object, sum: sha256.New(), limit: -1}
	status := dimse.Status(a.Reason)
	var err error
	switch {
	case a.Lose || a.Reason != 0:
		_, err = io.Copy(io.Discard, data)
	default:
		status, err = b.p.take(in, h, data, dimse.Success)
	}
	if err != nil {
		return 0, err
	}
	t := Transfer{
		SOPClassUID: in.SOPClassUID, SOPInstanceUID: in.SOPInstanceUID, TransferSyntaxUID: in.TransferSyntaxUID,
		Bytes: data.n, SHA256: hex.EncodeToString(data.sum.Sum(nil)), Status: uint16(status), Lost: a.Lose,
		Time: time.Now(),
	}
	b.p.recorder.stored(t)
	b.p.gate(ctx, Event{
		Kind: AtWebKept, Number: a.Number, SOPInstanceUID: in.SOPInstanceUID, Level: r.Level, Request: r,
		StudyInstanceUID: r.Study, Transfer: &t,
	})
	return int(status), nil
}

// State implements rest.Backend.
func (b backend) State(uid string) *rest.State { return b.p.faultsOf([]string{uid}).state() }

// Gate implements rest.Backend.
func (b backend) Gate(ctx context.Context, point string, number int, uid string, r *rest.Request) {
	b.p.gate(ctx, Event{
		Kind: EventKind(point), Number: number, SOPInstanceUID: uid, Level: r.Level, Request: r,
		StudyInstanceUID: r.Study,
	})
}

// Answered implements rest.Backend.
func (b backend) Answered(ctx context.Context, r *rest.Request, ds *stream.DataSet) {
	level := r.Level
	if r.Service == "metadata" {
		level = "IMAGE"
	}
	b.p.gate(ctx, Event{Kind: AtWebMatch, Level: level, Request: r, StudyInstanceUID: r.Study, Answer: ds})
}

// Begun implements rest.Backend.
func (b backend) Begun(r rest.Request) (id int) {
	b.p.recorder.change(func(l *Log) {
		id = len(l.Requests)
		l.Requests = bounded(l.Requests, r)
		l.Web.Open++
		l.Web.Total++
		l.Web.Peak = max(l.Web.Peak, l.Web.Open)
	})
	return id
}

// Ended implements rest.Backend.
func (b backend) Ended(id int, r rest.Request) {
	b.p.recorder.change(func(l *Log) {
		if id < len(l.Requests) {
			l.Requests[id] = r
		}
		l.Web.Open--
	})
}

// Sent implements rest.Backend.
func (b backend) Sent(in rest.Instance, bytes int64, sum string) {
	b.p.recorder.sent(Transfer{
		SOPClassUID: in.SOPClassUID, SOPInstanceUID: in.SOPInstanceUID, TransferSyntaxUID: in.TransferSyntaxUID,
		Bytes: bytes, SHA256: sum, Time: time.Now(),
	})
}

// Received implements rest.Backend.
func (b backend) Received(n int) { b.p.recorder.received(n) }

// Broke implements rest.Backend.
func (b backend) Broke(uid string, bytes int64) {
	b.p.recorder.broke(Transfer{SOPInstanceUID: uid, Bytes: bytes, Time: time.Now()})
}

// connection counts connections of DICOMweb.
func (r *Recorder) connection(_ net.Conn, to http.ConnState) {
	switch to {
	case http.StateNew:
		r.change(func(l *Log) {
			l.Web.Connections++
			l.Web.TotalConnections++
			l.Web.PeakConnections = max(l.Web.PeakConnections, l.Web.Connections)
		})
	case http.StateClosed, http.StateHijacked:
		r.change(func(l *Log) { l.Web.Connections-- })
	}
}

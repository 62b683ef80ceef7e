// SPDX-License-Identifier: AGPL-3.0-or-later

package liar

import (
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/adit-go/adit/dicom/dict"
	"github.com/adit-go/adit/dicom/pacs"
	"github.com/adit-go/adit/engine/nodes"
)

// webSources and webTargets are the ways in which servers are set up that are spoken to by DICOMweb.
var webSources = map[string]func(s *nodes.NewServer){
	"web":     func(s *nodes.NewServer) { s.Supports = nodes.Supports{QIDO: true, WADO: true} },
	"web get": func(s *nodes.NewServer) { s.Supports.WADO = true },
}

var webTargets = map[string]func(s *nodes.NewServer){
	"web":      func(s *nodes.NewServer) { s.Supports = nodes.Supports{QIDO: true, STOW: true} },
	"web mute": func(s *nodes.NewServer) { s.Supports = nodes.Supports{STOW: true} },
	"web presence": func(s *nodes.NewServer) {
		s.Supports = nodes.Supports{QIDO: true, STOW: true}
		s.Verify = nodes.Verify{Method: nodes.VerifyPresence, Patience: time.Second}
	},
}

// What lies of DICOMweb need.
const (
	aWADO = "wado" // a source that is retrieved from by WADO-RS
	aQIDO = "qido" // a source that is searched by QIDO-RS
	aSTOW = "stow" // a destination that is stored to by STOW-RS
)

func isWeb(name string) bool { return strings.HasPrefix(name, "web") }

// drawWeb has one peer of some tales, or both, speak DICOMweb.
func (t *tale) drawWeb() {
	r := t.random("spoken by web")
	if r.IntN(3) == 0 {
		t.source = pick(r, []string{"web", "web", "web get"})
		if t.target == "direct" {
			t.target = "web presence"
		}
	}
	if r.IntN(3) == 0 && t.target != "folder" {
		t.target = pick(r, []string{"web", "web", "web presence", "web mute"})
	}
}

// webFirst has lies of DICOMweb be told before others, where there is such a peer: those of DIMSE do nothing there.
func webFirst(fit []*lie) {
	slices.SortStableFunc(fit, func(a, b *lie) int {
		rank := func(l *lie) int {
			if l.web() {
				return 0
			}
			return 1
		}
		return rank(a) - rank(b)
	})
}

func (l *lie) web() bool {
	return slices.ContainsFunc(strings.Fields(l.needs), func(need string) bool {
		return need == aWADO || need == aQIDO || need == aSTOW
	})
}

// times draws how often a part of DICOMweb errs, and whether it does so at once.
func (t *tale) times(r *rand.Rand, a *pacs.WebAnswerFaults) {
	if shared := t.random("web times"); a.First == 0 && a.After == 0 {
		a.First, a.After = pick(shared, []int{1, 2, 4, 0, 0}), pick(r, []int{0, 0, 1, 2})
	}
	if a.First == 0 {
		t.lasts()
	}
}

// qido, meta, wado and stow change how a service errs.
func (t *tale) qido(r *rand.Rand, change func(f *pacs.WebSearchFaults)) {
	change(&t.src.Web.Search)
	t.times(r, &t.src.Web.Search.AnswerFaults)
}

func (t *tale) meta(r *rand.Rand, change func(f *pacs.WebMetadataFaults)) {
	change(&t.src.Web.Metadata)
	t.times(r, &t.src.Web.Metadata.AnswerFaults)
}

func (t *tale) wado(r *rand.Rand, change func(f *pacs.WebRetrieveFaults)) {
	change(&t.src.Web.Retrieve)
	t.times(r, &t.src.Web.Retrieve.AnswerFaults)
}

func (t *tale) stow(r *rand.Rand, change func(f *pacs.WebStoreFaults)) {
	change(&t.dst.Web.Store)
	t.times(r, &t.dst.Web.Store.AnswerFaults)
}

// answers are those that a server gives at once, and does nothing.
func answers(r *rand.Rand, a *pacs.WebAnswerFaults) {
	a.Status = pick(r, []int{200, 200, 204, 400, 401, 403, 404, 405, 406, 409, 410, 413, 415, 500, 501, 502, 503})
	switch r.IntN(4) {
	case 0:
		a.ContentType, a.Body = "text/html", "<!DOCTYPE html><html><body>Please log in</body></html>"
	case 1:
		a.ContentType, a.Body = "application/dicom+json", pick(r, []string{"[]", "{}", "[{}]", `{"error":"internal"}`, "[", "null", ""})
	case 2:
		a.ContentType, a.Body = `multipart/related; type="application/dicom"; boundary=b`, pick(r, []string{
			"--b--\r\n", "", "--b\r\n\r\n\r\n--b--", "--b\r\nContent-Type: application/dicom\r\n\r\nDICM\r\n--b--",
		})
	}
}

// cuts ends bodies before their end.
func cuts(r *rand.Rand, a *pacs.WebAnswerFaults) {
	a.Cut = pick(r, []string{pacs.CutEnd, pacs.CutEnd, pacs.CutEnd, pacs.CutDrop, pacs.CutDrop, pacs.CutStall})
	a.CutAfterBytes = int64(r.IntN(1500) * r.IntN(2))
}

// searching are the lies of QIDO-RS and metadata.
var searching = []lie{
	{"searches ignore keys", aQIDO, func(t *tale, r *rand.Rand) {
		t.qido(r, func(f *pacs.WebSearchFaults) { f.IgnoreKeys = true })
	}},
	{"searches ignore the offset", aQIDO, func(t *tale, r *rand.Rand) {
		t.qido(r, func(f *pacs.WebSearchFaults) { f.IgnoreOffset = true })
	}},
	{"searches ignore the limit", aQIDO, func(t *tale, r *rand.Rand) {
		t.qido(r, func(f *pacs.WebSearchFaults) { f.IgnoreLimit = true })
	}},
	{"searches are capped", aQIDO, func(t *tale, r *rand.Rand) {
		t.qido(r, func(f *pacs.WebSearchFaults) { f.Cap, f.Warn = 1+r.IntN(3), r.IntN(2) == 0 })
	}},
	{"searches are capped, and ignore the offset", aQIDO, func(t *tale, r *rand.Rand) {
		t.qido(r, func(f *pacs.WebSearchFaults) { f.Cap, f.Warn, f.IgnoreOffset = 1+r.IntN(3), r.IntN(2) == 0, true })
	}},
	{"searches find nothing by 204", aQIDO, func(t *tale, r *rand.Rand) {
		t.qido(r, func(f *pacs.WebSearchFaults) { f.NoContent = true })
	}},
	{"searches answer one as an object", aQIDO, func(t *tale, r *rand.Rand) {
		t.qido(r, func(f *pacs.WebSearchFaults) { f.Object = true })
	}},
	{"searches answer everything twice", aQIDO, func(t *tale, r *rand.Rand) {
		t.qido(r, func(f *pacs.WebSearchFaults) { f.Twice = true })
	}},
	{"searches hide some", aQIDO, func(t *tale, r *rand.Rand) {
		uids := t.several(r)
		if r.IntN(4) == 0 {
			uids = append(uids, t.someSeries(r).SeriesInstanceUID)
		}
		t.qido(r, func(f *pacs.WebSearchFaults) { f.Hidden = append(f.Hidden, uids...) })
	}},
	{"searches count nothing", aQIDO, func(t *tale, r *rand.Rand) {
		t.qido(r, func(f *pacs.WebSearchFaults) {
			f.OmitKeys = append(f.OmitKeys, dict.NumberOfSeriesRelatedInstances, dict.NumberOfStudyRelatedInstances)
		})
	}},
	{"searches leave out what is unique", aQIDO, func(t *tale, r *rand.Rand) {
		t.qido(r, func(f *pacs.WebSearchFaults) {
			f.OmitKeys = append(f.OmitKeys, pick(r, []dict.Tag{
				dict.StudyInstanceUID, dict.SeriesInstanceUID, dict.SOPInstanceUID, dict.SOPClassUID, dict.Modality,
			}))
		})
	}},
	{"searches are answered otherwise", aQIDO, func(t *tale, r *rand.Rand) {
		t.qido(r, func(f *pacs.WebSearchFaults) { answers(r, &f.AnswerFaults) })
	}},
	{"searches break off", aQIDO, func(t *tale, r *rand.Rand) {
		t.qido(r, func(f *pacs.WebSearchFaults) { cuts(r, &f.AnswerFaults) })
	}},
	{"metadata leave some out", aQIDO, func(t *tale, r *rand.Rand) {
		t.qido(r, func(f *pacs.WebSearchFaults) { f.Cap, f.IgnoreOffset = 1, true })
		uids := t.several(r)
		t.meta(r, func(f *pacs.WebMetadataFaults) { f.Missing = append(f.Missing, uids...) })
	}},
	{"metadata are answered otherwise", aQIDO, func(t *tale, r *rand.Rand) {
		t.qido(r, func(f *pacs.WebSearchFaults) { f.Cap, f.IgnoreOffset = 1, true })
		t.meta(r, func(f *pacs.WebMetadataFaults) { answers(r, &f.AnswerFaults) })
	}},
	{"metadata break off", aQIDO, func(t *tale, r *rand.Rand) {
		t.qido(r, func(f *pacs.WebSearchFaults) { f.Cap, f.IgnoreOffset = 1, true })
		t.meta(r, func(f *pacs.WebMetadataFaults) { cuts(r, &f.AnswerFaults) })
	}},
	{"hosts that nobody knows", aQIDO, func(t *tale, _ *rand.Rand) { t.src.Web.Host = "pacs.invalid:1" }},
}

// bringing are the lies of WADO-RS.
var bringing = []lie{
	{"leaves some out by 206", aWADO, func(t *tale, r *rand.Rand) {
		uids := t.several(r)
		t.wado(r, func(f *pacs.WebRetrieveFaults) { f.Missing, f.Partial = append(f.Missing, uids...), true })
	}},
	{"leaves some out by 200", aWADO, func(t *tale, r *rand.Rand) {
		uids := t.several(r)
		t.wado(r, func(f *pacs.WebRetrieveFaults) { f.Missing = append(f.Missing, uids...) })
	}},
	{"a body ends early", aWADO, func(t *tale, r *rand.Rand) {
		t.wado(r, func(f *pacs.WebRetrieveFaults) {
			cuts(r, &f.AnswerFaults)
			f.CutAtObject = r.IntN(4)
		})
	}},
	{"retrieves are answered otherwise", aWADO, func(t *tale, r *rand.Rand) {
		t.wado(r, func(f *pacs.WebRetrieveFaults) { answers(r, &f.AnswerFaults) })
	}},
	{"retrieves are redirected", aWADO, func(t *tale, r *rand.Rand) {
		t.wado(r, func(f *pacs.WebRetrieveFaults) { f.Redirect = "/" })
	}},
	{"every object twice by web", aWADO, func(t *tale, r *rand.Rand) {
		t.wado(r, func(f *pacs.WebRetrieveFaults) { f.Twice = true })
	}},
	{"objects besides", aWADO, func(t *tale, r *rand.Rand) {
		t.webBesides(r)
	}},
	{"objects instead", aWADO, func(t *tale, r *rand.Rand) {
		t.webBesides(r)
		t.wado(r, func(f *pacs.WebRetrieveFaults) { f.Instead = true })
	}},
	{"an object is truncated", aWADO, func(t *tale, r *rand.Rand) {
		uid, n := t.some(r), int64(20+r.IntN(600))
		t.wado(r, func(f *pacs.WebRetrieveFaults) { f.Truncate = map[string]int64{uid: n} })
	}},
	{"another UID inside an object", aWADO, func(t *tale, r *rand.Rand) {
		uid := t.some(r)
		tag, value := dict.SOPInstanceUID, pick(r, []string{uid + ".1", t.some(r)})
		switch r.IntN(3) {
		case 0:
			tag, value = dict.SeriesInstanceUID, pick(r, []string{
				t.study.StudyInstanceUID + ".99", pick(r, t.study.Series).SeriesInstanceUID,
			})
		case 1:
			tag, value = dict.StudyInstanceUID, t.kin.StudyInstanceUID
		}
		t.webInside(r, uid, tag, value)
	}},
	{"another patient inside an object", aWADO, func(t *tale, r *rand.Rand) {
		uid := t.some(r)
		t.webInside(r, uid, dict.PatientID, t.stranger.Spec.Patient.ID)
		t.strange[uid] = true
	}},
	{"a level is not offered", aWADO, func(t *tale, r *rand.Rand) {
		status := pick(r, []int{
			http.StatusNotFound, http.StatusMethodNotAllowed, http.StatusNotImplemented, http.StatusBadRequest,
		})
		t.wado(r, func(f *pacs.WebRetrieveFaults) {
			f.NotOffered = pick(r, []map[string]int{
				{"SERIES": status}, {"STUDY": status, "SERIES": status}, {"IMAGE": status},
			})
		})
	}},
	{"* is not understood", aWADO, func(t *tale, r *rand.Rand) {
		t.wado(r, func(f *pacs.WebRetrieveFaults) { f.IgnoreStar, f.RefuseStar = r.IntN(2) == 0, r.IntN(2) == 0 })
		for _, in := range t.study.Instances() { // they are converted
			t.untrue[in.SOPInstanceUID] = t.untrue[in.SOPInstanceUID] || in.TransferSyntaxUID != dict.ExplicitVRLittleEndian
		}
	}},
	{"a body in another form", aWADO, func(t *tale, r *rand.Rand) {
		some := func() bool { return r.IntN(3) == 0 }
		t.wado(r, func(f *pacs.WebRetrieveFaults) {
			f.Form = pacs.WebForm{
				SyntaxInQuotes: some(), QuotedBoundary: some(), TwoTypes: some(), FirstCRLF: some(), LowerCase: some(),
				ExtraCRLF: some(), PartLength: some(), NoClosing: some(), SinglePart: r.IntN(6) == 0,
				Preamble: pick(r, []string{"", "", "Hello"}), Epilogue: pick(r, []string{"", "", "Bye"}),
				TextAtEnd: pick(r, []string{"", "", "The archive broke down."}),
			}
		})
	}},
}

func (t *tale) webBesides(r *rand.Rand) {
	s := pick(r, append(slices.Clone(t.study.Series), t.kin.Series[0], t.stranger.Series[0]))
	t.wado(r, func(f *pacs.WebRetrieveFaults) {
		for _, in := range s.Instances[:1+r.IntN(len(s.Instances))] {
			f.Besides = append(f.Besides, in.SOPInstanceUID)
		}
	})
}

func (t *tale) webInside(r *rand.Rand, uid string, tag dict.Tag, value string) {
	t.untrue[uid] = true
	t.wado(r, func(f *pacs.WebRetrieveFaults) {
		if f.Inside == nil {
			f.Inside = map[string]map[dict.Tag]string{}
		}
		f.Inside[uid] = map[dict.Tag]string{tag: value}
	})
}

// keeping are the lies of STOW-RS.
var keeping = []lie{
	{"fails to store some", aSTOW, func(t *tale, r *rand.Rand) {
		t.webReasons(r, pick(r, []int{
			0xA700, 0xA900, 0xC000, 0xC122, 0x0110, 0x0122, 0x0124, 0x0111, 45070, 45071, 424, 503,
		}))
	}},
	{"fails to store some, by a status that is wrong", aSTOW, func(t *tale, r *rand.Rand) {
		t.webReasons(r, pick(r, []int{0xA900, 0xC000, 0x0110}))
		t.stow(r, func(f *pacs.WebStoreFaults) { f.AnswerStatus = pick(r, []int{200, 202, 409, 400, 500}) })
	}},
	{"stores some with a remark by web", aSTOW, func(t *tale, r *rand.Rand) {
		uids := t.several(r)
		t.stow(r, func(f *pacs.WebStoreFaults) {
			f.Warnings = map[string]int{}
			for _, uid := range uids {
				f.Warnings[uid] = pick(r, []int{0xB000, 0xB006, 0xB007, 1})
			}
		})
	}},
	{"can't read one part", aSTOW, func(t *tale, r *rand.Rand) {
		uid := t.some(r)
		t.stow(r, func(f *pacs.WebStoreFaults) { f.Unreadable = append(f.Unreadable, uid) })
	}},
	{"acknowledges by web and keeps nothing", aSTOW, func(t *tale, r *rand.Rand) {
		t.dst.Web.Store.Lose = append(t.dst.Web.Store.Lose, t.several(r)...)
		t.lasts()
	}},
	{"says nothing of some", aSTOW, func(t *tale, r *rand.Rand) {
		uids := t.several(r)
		if r.IntN(2) == 0 {
			t.webReasons(r, 0xC000)
		}
		t.stow(r, func(f *pacs.WebStoreFaults) { f.Unmentioned = append(f.Unmentioned, uids...) })
	}},
	{"stored what nobody sent", aSTOW, func(t *tale, r *rand.Rand) {
		uid := pick(r, []string{"1.2.3.4", t.kin.Instances()[0].SOPInstanceUID})
		t.stow(r, func(f *pacs.WebStoreFaults) { f.Extra = append(f.Extra, uid) })
	}},
	{"a status that lies", aSTOW, func(t *tale, r *rand.Rand) {
		t.stow(r, func(f *pacs.WebStoreFaults) {
			f.AnswerStatus, f.NoBody = pick(r, []int{200, 202, 204, 400, 409, 415, 500, 503}), r.IntN(2) == 0
		})
	}},
	{"answers in another form", aSTOW, func(t *tale, r *rand.Rand) {
		t.stow(r, func(f *pacs.WebStoreFaults) {
			f.HexReasons, f.List, f.NoContentType, f.EmptyForms = r.IntN(2) == 0, r.IntN(2) == 0, r.IntN(2) == 0, r.IntN(2) == 0
		})
	}},
	{"takes no large bodies", aSTOW, func(t *tale, r *rand.Rand) {
		t.stow(r, func(f *pacs.WebStoreFaults) {
			if f.MaxObjects = r.IntN(4); f.MaxObjects == 0 {
				f.MaxBytes = int64(500 + r.IntN(6000))
			}
		})
	}},
	{"refuses duplicates", aSTOW, func(t *tale, r *rand.Rand) {
		t.stow(r, func(f *pacs.WebStoreFaults) { f.Duplicates = pick(r, []int{45070, 0x0111}) })
	}},
	{"stores are answered otherwise", aSTOW, func(t *tale, r *rand.Rand) {
		t.stow(r, func(f *pacs.WebStoreFaults) { answers(r, &f.AnswerFaults) })
	}},
	{"answers to stores break off", aSTOW, func(t *tale, r *rand.Rand) {
		t.stow(r, func(f *pacs.WebStoreFaults) { cuts(r, &f.AnswerFaults) })
		t.passes(r)
	}},
	{"silent when all was stored", aSTOW, func(t *tale, r *rand.Rand) {
		t.stow(r, func(f *pacs.WebStoreFaults) { f.SilentAtEnd = true })
		t.passes(r)
	}},
	{"stops to read", aSTOW, func(t *tale, r *rand.Rand) {
		t.stow(r, func(f *pacs.WebStoreFaults) {
			f.CutAtObject, f.CutObjectAt = 1+r.IntN(3), int64(r.IntN(600))
			f.CutObject = pick(r, []string{pacs.CutDrop, pacs.CutDrop, pacs.CutStall})
		})
		t.passes(r)
	}},
	{"lists late", aSTOW, func(t *tale, r *rand.Rand) {
		t.dst.Web.Search.Lag = 1 + r.IntN(3)
	}},
	{"lists at the destination are wrong", aSTOW, func(t *tale, r *rand.Rand) {
		f := &t.dst.Web.Search
		f.IgnoreKeys, f.IgnoreOffset, f.Twice = r.IntN(3) == 0, r.IntN(3) == 0, r.IntN(3) == 0
		if r.IntN(2) == 0 {
			f.Cap, f.Warn = 1+r.IntN(2), r.IntN(2) == 0
		}
		if r.IntN(2) == 0 {
			f.Hidden = t.several(r)
		}
		t.times(r, &f.AnswerFaults)
	}},
	{"searches at the destination are answered otherwise", aSTOW, func(t *tale, r *rand.Rand) {
		answers(r, &t.dst.Web.Search.AnswerFaults)
		t.times(r, &t.dst.Web.Search.AnswerFaults)
	}},
}

// passes has a destination err a few times only: for one that says nothing for ever, a task waits for as long.
func (t *tale) passes(r *rand.Rand) {
	if a := &t.dst.Web.Store.AnswerFaults; a.First == 0 {
		a.First = 1 + r.IntN(4)
	}
}

func (t *tale) webReasons(r *rand.Rand, reason int) {
	uids, times := t.several(r), t.passing(r)
	f := &t.dst.Web.Store
	if f.Reasons == nil {
		f.Reasons = map[string]int{}
	}
	for _, uid := range uids {
		f.Reasons[uid] = reason
	}
	f.ReasonsFirst = times
}

// alreadyByWeb reports whether a Failure Reason (0008,1197) says that an instance is there already.
func alreadyByWeb(reason int) bool { return reason == 45070 || reason == 45071 || reason == 0x0111 }

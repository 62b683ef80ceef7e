// SPDX-License-Identifier: AGPL-3.0-or-later

package web

import (
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/adit-go/adit/dicom/dict"
	"github.com/adit-go/adit/dicom/pacs"
	"github.com/adit-go/adit/dicom/phantom"
	"github.com/adit-go/adit/engine/jobs"
	"github.com/adit-go/adit/engine/nodes"
	"github.com/adit-go/adit/test/harness"
)

// objects are how many instances a study of liars has, in two series.
const objects = 20

// liars is a study for those that lie.
func liars(seed uint64) *phantom.Study {
	return phantom.New(seed, phantom.StudySpec{
		Patient: phantom.Patient{ID: "PHANTOM-001", Name: "Phantom^Alpha"},
		Series: []phantom.SeriesSpec{
			{Kind: phantom.CT, Instances: 14, Rows: 64, Columns: 64},
			{Kind: phantom.CT, Instances: objects - 14, Rows: 64, Columns: 64},
		},
	})
}

// other is another study of the same patient.
var other = ct(77, 2)

func once(n int) pacs.WebAnswerFaults { return pacs.WebAnswerFaults{First: n} }

// wado, lists and meta make faults of one part alone.
func wado(f pacs.WebRetrieveFaults) func(*phantom.Study) pacs.WebFaults {
	return func(*phantom.Study) pacs.WebFaults { return pacs.WebFaults{Retrieve: f} }
}

func answers(f pacs.WebAnswerFaults) func(*phantom.Study) pacs.WebFaults {
	return wado(pacs.WebRetrieveFaults{AnswerFaults: f})
}

func lists(f pacs.WebSearchFaults) func(*phantom.Study) pacs.WebFaults {
	return func(*phantom.Study) pacs.WebFaults { return pacs.WebFaults{Search: f} }
}

func form(f pacs.WebForm) func(*phantom.Study) pacs.WebFaults {
	return wado(pacs.WebRetrieveFaults{Form: f})
}

// without is a source that leaves out some instances.
func without(f pacs.WebRetrieveFaults, indices ...int) func(*phantom.Study) pacs.WebFaults {
	return func(st *phantom.Study) pacs.WebFaults {
		f := f
		f.Missing = uids(st, indices...)
		return pacs.WebFaults{Retrieve: f}
	}
}

// uids are those of some instances of a study.
func uids(st *phantom.Study, indices ...int) (list []string) {
	for _, i := range indices {
		list = append(list, st.Instances()[i].SOPInstanceUID)
	}
	return list
}

func impatient(s *nodes.NewServer) { s.IdleTimeout = time.Second }

func noImages(s *nodes.NewServer) { s.FindImages = new(bool) }

// ofRetrieves are lies of WADO-RS: whatever it is that comes, Success means that all is there.
var ofRetrieves = []told{
	{name: "the truth", delivered: -1},
	{
		name: "206, three are missing, once", delivered: -1,
		says: without(pacs.WebRetrieveFaults{AnswerFaults: once(2), Partial: true}, 3, 4, 17),
	},
	{
		name: "206, three are missing, for ever", says: without(pacs.WebRetrieveFaults{Partial: true}, 3, 4, 17),
		status: jobs.Warning, delivered: 17, message: "3 instances are undeliverable", missing: []int{3, 4, 17},
	},
	{
		name: "200, three are missing, once", says: without(pacs.WebRetrieveFaults{AnswerFaults: once(2)}, 3, 4, 17),
		delivered: -1,
	},
	{
		name: "200, three are missing, for ever", says: without(pacs.WebRetrieveFaults{}, 3, 4, 17),
		status: jobs.Failure, delivered: 17, message: "3 instances are missing", missing: []int{3, 4, 17},
	},
	{
		name: "200, all of a series are missing", says: without(pacs.WebRetrieveFaults{}, 14, 15, 16, 17, 18, 19),
		status: jobs.Failure, delivered: 14, message: "6 instances are missing",
	},
	{
		name: "a clean end within an object, once", delivered: -1,
		says: wado(pacs.WebRetrieveFaults{
			AnswerFaults: pacs.WebAnswerFaults{First: 1, Cut: pacs.CutEnd, CutAfterBytes: 1000}, CutAtObject: 5,
		}),
	},
	{
		name: "a clean end within an object, for ever",
		says: wado(pacs.WebRetrieveFaults{
			AnswerFaults: pacs.WebAnswerFaults{Cut: pacs.CutEnd, CutAfterBytes: 1000}, CutAtObject: 1,
		}),
		status: jobs.Failure, message: "closed it before its answer was complete",
	},
	{
		name: "a clean end between objects, once", delivered: -1,
		says: wado(pacs.WebRetrieveFaults{
			AnswerFaults: pacs.WebAnswerFaults{First: 1, Cut: pacs.CutEnd}, CutAtObject: 5,
		}),
	},
	{
		name: "no closing delimiter, once", delivered: -1,
		says: wado(pacs.WebRetrieveFaults{AnswerFaults: once(2), Form: pacs.WebForm{NoClosing: true}}),
	},
	{
		// nothing shows that the last object of an answer is whole
		name: "no closing delimiter, for ever", says: form(pacs.WebForm{NoClosing: true}),
		status: jobs.Failure, delivered: 18, message: "closed it before its answer was complete",
	},
	{
		name: "an empty body, once", says: answers(pacs.WebAnswerFaults{First: 2, Cut: pacs.CutEnd}), delivered: -1,
	},
	{
		name: "an empty body, for ever", says: answers(pacs.WebAnswerFaults{Cut: pacs.CutEnd}),
		status: jobs.Failure, message: "closed it before its answer was complete",
	},
	{
		name: "dropped within an object, once", delivered: -1,
		says: wado(pacs.WebRetrieveFaults{
			AnswerFaults: pacs.WebAnswerFaults{First: 1, Cut: pacs.CutDrop, CutAfterBytes: 1000}, CutAtObject: 5,
		}),
	},
	{
		name: "dropped between objects, once", delivered: -1,
		says: wado(pacs.WebRetrieveFaults{
			AnswerFaults: pacs.WebAnswerFaults{First: 1, Cut: pacs.CutDrop}, CutAtObject: 5,
		}),
	},
	{
		name: "dropped within the first object, for ever",
		says: wado(pacs.WebRetrieveFaults{
			AnswerFaults: pacs.WebAnswerFaults{Cut: pacs.CutDrop, CutAfterBytes: 1000}, CutAtObject: 1,
		}),
		status: jobs.Failure, message: "closed it before its answer was complete",
	},
	{
		name: "silent within an object, once", delivered: -1, change: impatient,
		says: wado(pacs.WebRetrieveFaults{
			AnswerFaults: pacs.WebAnswerFaults{First: 1, Cut: pacs.CutStall, CutAfterBytes: 1000}, CutAtObject: 5,
		}),
	},
	{
		name: "no answer, once", delivered: -1, change: impatient,
		says: answers(pacs.WebAnswerFaults{First: 1, Silent: true}),
	},
	{
		// the rest of the answer counts
		name: "an object ends too early, for ever", says: func(st *phantom.Study) pacs.WebFaults {
			return pacs.WebFaults{Retrieve: pacs.WebRetrieveFaults{Truncate: map[string]int64{uids(st, 3)[0]: 600}}}
		},
		status: jobs.Failure, delivered: objects - 1, message: "1 instance is missing", missing: []int{3},
	},
	{name: "every object twice", says: wado(pacs.WebRetrieveFaults{Twice: true}), delivered: -1},
	{
		name: "another study's besides", says: wado(pacs.WebRetrieveFaults{Besides: uids(other, 0, 1)}), status: jobs.Warning,
		delivered: 20, message: "also sent 2 instances of another study, which nobody asked for",
	},
	{
		name:   "another study's instead",
		says:   wado(pacs.WebRetrieveFaults{Besides: uids(other, 0, 1), Instead: true}),
		status: jobs.Failure, message: "20 instances are missing",
	},
	{
		name: "another study's instead, once", status: jobs.Warning, delivered: 20,
		message: "also sent 1 instance of another study, which nobody asked for",
		says:    wado(pacs.WebRetrieveFaults{AnswerFaults: once(2), Besides: uids(other, 0), Instead: true}),
	},
	{
		name: "one cut short, once", delivered: -1,
		says: func(st *phantom.Study) pacs.WebFaults {
			return pacs.WebFaults{Retrieve: pacs.WebRetrieveFaults{
				AnswerFaults: once(2), Truncate: map[string]int64{uids(st, 4)[0]: 3000},
			}}
		},
	},
	{
		name: "one cut short, for ever",
		says: func(st *phantom.Study) pacs.WebFaults {
			return pacs.WebFaults{Retrieve: pacs.WebRetrieveFaults{Truncate: map[string]int64{uids(st, 4)[0]: 3000}}}
		},
		status: jobs.Failure, delivered: 19, missing: []int{4},
	},
	{
		name: "one of another patient inside",
		says: func(st *phantom.Study) pacs.WebFaults {
			return pacs.WebFaults{Retrieve: pacs.WebRetrieveFaults{Inside: map[string]map[dict.Tag]string{
				uids(st, 4)[0]: {dict.PatientID: "PHANTOM-999"},
			}}}
		},
		status: jobs.Warning, delivered: 20, message: "Patient ID",
	},
	{
		name: "one of another study inside, for ever",
		says: func(st *phantom.Study) pacs.WebFaults {
			return pacs.WebFaults{Retrieve: pacs.WebRetrieveFaults{Inside: map[string]map[dict.Tag]string{
				uids(st, 4)[0]: {dict.StudyInstanceUID: other.StudyInstanceUID},
			}}}
		},
		status: jobs.Failure, delivered: 19, missing: []int{4},
	},
	{
		name: "one with another's UID inside, for ever",
		says: func(st *phantom.Study) pacs.WebFaults {
			return pacs.WebFaults{Retrieve: pacs.WebRetrieveFaults{Inside: map[string]map[dict.Tag]string{
				uids(st, 4)[0]: {dict.SOPInstanceUID: uids(st, 5)[0]},
			}}}
		},
		status: jobs.Failure, delivered: 19, missing: []int{4},
	},
	{
		name: "no series by itself: 404", delivered: -1,
		says: wado(pacs.WebRetrieveFaults{NotOffered: map[string]int{"SERIES": http.StatusNotFound}}),
	},
	{
		name: "no series by itself: 405", delivered: -1,
		says: wado(pacs.WebRetrieveFaults{NotOffered: map[string]int{"SERIES": http.StatusMethodNotAllowed}}),
	},
	{
		name: "neither studies nor series: 501", delivered: -1,
		says: wado(pacs.WebRetrieveFaults{NotOffered: map[string]int{
			"STUDY": http.StatusNotImplemented, "SERIES": http.StatusNotImplemented,
		}}),
	},
	{
		name: "no series, and one instance is not there: 404",
		says: func(st *phantom.Study) pacs.WebFaults {
			return pacs.WebFaults{Retrieve: pacs.WebRetrieveFaults{
				NotOffered: map[string]int{"SERIES": http.StatusNotImplemented}, Missing: uids(st, 4), Partial: true,
			}}
		},
		status: jobs.Warning, delivered: 19, message: "1 instance is undeliverable", missing: []int{4},
	},
	{
		name: "nothing at any level: 404",
		says: wado(pacs.WebRetrieveFaults{NotOffered: map[string]int{
			"STUDY": http.StatusNotFound, "SERIES": http.StatusNotFound, "IMAGE": http.StatusNotFound,
		}}),
		status: jobs.Warning, message: "20 instances are undeliverable",
	},
	{
		name:   "no retrieves at all: 501",
		says:   answers(pacs.WebAnswerFaults{Status: http.StatusNotImplemented}),
		status: jobs.Failure, message: "501",
	},
	{name: "refuses * (406)", says: wado(pacs.WebRetrieveFaults{RefuseStar: true}), delivered: -1},
	{name: "ignores *", says: wado(pacs.WebRetrieveFaults{IgnoreStar: true}), delivered: -1},
	{
		name: "a page of HTML with 200, once", delivered: -1,
		says: answers(pacs.WebAnswerFaults{
			First: 1, Status: http.StatusOK, ContentType: "text/html", Body: "<!DOCTYPE html><html>Please log in</html>",
		}),
	},
	{
		name: "a page of HTML with 200, for ever",
		says: answers(pacs.WebAnswerFaults{
			Status: http.StatusOK, ContentType: "text/html", Body: "<!DOCTYPE html><html>Please log in</html>",
		}),
		status: jobs.Failure,
	},
	{
		name: "an error as JSON with 200, for ever",
		says: answers(pacs.WebAnswerFaults{
			Status: http.StatusOK, ContentType: "application/json", Body: `{"error":"internal"}`,
		}),
		status: jobs.Failure,
	},
	{
		name: "204, for ever", says: answers(pacs.WebAnswerFaults{Status: http.StatusNoContent}),
		status: jobs.Failure, message: "20 instances are missing",
	},
	{
		name: "500, once", delivered: -1,
		says: answers(pacs.WebAnswerFaults{First: 1, Status: http.StatusInternalServerError}),
	},
	{
		name: "500, for ever", says: answers(pacs.WebAnswerFaults{Status: http.StatusInternalServerError}),
		status: jobs.Failure, message: "500",
	},
	{name: "redirected within the server", says: answers(pacs.WebAnswerFaults{Redirect: "/"}), delivered: -1},
	{
		name: "all is redirected within the server", delivered: -1,
		says: func(*phantom.Study) pacs.WebFaults {
			return pacs.WebFaults{Any: pacs.WebAnswerFaults{Redirect: "/"}}
		},
	},
}

// ofForms are multipart bodies as servers write them, right or wrong.
var ofForms = []told{
	{name: "the syntax in quotes", says: form(pacs.WebForm{SyntaxInQuotes: true})},
	{name: "the boundary in quotes", says: form(pacs.WebForm{QuotedBoundary: true})},
	{name: "two types", says: form(pacs.WebForm{TwoTypes: true})},
	{name: "a preamble", says: form(pacs.WebForm{Preamble: "This is a message of many parts."})},
	{name: "a line end in front", says: form(pacs.WebForm{FirstCRLF: true})},
	{name: "lower case", says: form(pacs.WebForm{LowerCase: true})},
	{name: "a line end more behind each object", says: form(pacs.WebForm{ExtraCRLF: true})},
	{name: "parts with their length", says: form(pacs.WebForm{PartLength: true})},
	{name: "an epilogue", says: form(pacs.WebForm{Epilogue: "That was all."})},
	{
		name: "all at once", says: form(pacs.WebForm{
			SyntaxInQuotes: true, QuotedBoundary: true, TwoTypes: true, Preamble: "Hello", FirstCRLF: true, LowerCase: true,
			ExtraCRLF: true, PartLength: true, Epilogue: "Bye",
		}),
	},
	{
		name: "a text at the end, once",
		says: wado(pacs.WebRetrieveFaults{AnswerFaults: once(2), Form: pacs.WebForm{TextAtEnd: "The archive broke down."}}),
	},
	{name: "a single part", says: form(pacs.WebForm{SinglePart: true})},
}

// ofLists are lies of QIDO-RS and metadata.
var ofLists = []told{
	{name: "keys are ignored", says: lists(pacs.WebSearchFaults{IgnoreKeys: true}), delivered: -1},
	{name: "the offset is ignored", says: lists(pacs.WebSearchFaults{IgnoreOffset: true}), delivered: -1},
	{name: "the limit is ignored", says: lists(pacs.WebSearchFaults{IgnoreLimit: true}), delivered: -1},
	{name: "capped at five", says: lists(pacs.WebSearchFaults{Cap: 5}), delivered: -1},
	{name: "capped at five, with a warning", says: lists(pacs.WebSearchFaults{Cap: 5, Warn: true}), delivered: -1},
	{
		name: "capped at five, and the offset is ignored", delivered: -1,
		says: lists(pacs.WebSearchFaults{Cap: 5, IgnoreOffset: true}),
	},
	{
		name: "capped at five, with a warning, and the offset is ignored", delivered: -1,
		says: lists(pacs.WebSearchFaults{Cap: 5, Warn: true, IgnoreOffset: true}),
	},
	{name: "204", says: lists(pacs.WebSearchFaults{NoContent: true}), delivered: -1},
	{name: "one as an object", says: lists(pacs.WebSearchFaults{Object: true}), delivered: -1},
	{name: "every match twice", says: lists(pacs.WebSearchFaults{Twice: true}), delivered: -1},
	{
		name: "some instances are not listed", delivered: -1, says: func(st *phantom.Study) pacs.WebFaults {
			return pacs.WebFaults{Search: pacs.WebSearchFaults{Hidden: uids(st, 3, 4, 17)}}
		},
	},
	{
		name: "some instances are neither listed nor counted nor sent, but one", delivered: -1,
		says: func(st *phantom.Study) pacs.WebFaults {
			return pacs.WebFaults{Search: pacs.WebSearchFaults{Hidden: uids(st, 3, 4, 17)}}
		},
		change: noImages,
	},
	{
		name: "no counts", delivered: -1, says: lists(pacs.WebSearchFaults{OmitKeys: []dict.Tag{
			dict.NumberOfSeriesRelatedInstances, dict.NumberOfStudyRelatedInstances,
		}}),
	},
	{
		name: "neither lists nor counts", change: noImages, status: jobs.Warning, delivered: 20,
		message: "ompleteness not provable", says: lists(pacs.WebSearchFaults{OmitKeys: []dict.Tag{
			dict.NumberOfSeriesRelatedInstances, dict.NumberOfStudyRelatedInstances,
		}}),
	},
	{
		name: "no counts, some are not listed, and sent", delivered: -1, says: func(st *phantom.Study) pacs.WebFaults {
			return pacs.WebFaults{Search: pacs.WebSearchFaults{Hidden: uids(st, 3), OmitKeys: []dict.Tag{
				dict.NumberOfSeriesRelatedInstances, dict.NumberOfStudyRelatedInstances,
			}}}
		},
	},
	{
		name: "some are not listed, and not sent", says: func(st *phantom.Study) pacs.WebFaults {
			return pacs.WebFaults{
				Search:   pacs.WebSearchFaults{Hidden: uids(st, 3)},
				Retrieve: pacs.WebRetrieveFaults{Missing: uids(st, 3)},
			}
		},
		status: jobs.Warning, delivered: 19, message: "The source counts 14 instances in series",
	},
	{
		name: "searches fail, and metadata tell", delivered: -1,
		says: lists(pacs.WebSearchFaults{AnswerFaults: pacs.WebAnswerFaults{After: 1, Status: http.StatusNotImplemented}}),
	},
	{
		name: "searches fail, and metadata as an object tell", delivered: -1,
		says: func(*phantom.Study) pacs.WebFaults {
			return pacs.WebFaults{
				Search: pacs.WebSearchFaults{
					AnswerFaults: pacs.WebAnswerFaults{After: 1, Status: http.StatusNotImplemented},
				},
				Metadata: pacs.WebMetadataFaults{Object: true, NoPixelData: true},
			}
		},
	},
	{
		name: "capped, offset ignored, and metadata leave some out", delivered: -1,
		says: func(st *phantom.Study) pacs.WebFaults {
			return pacs.WebFaults{
				Search:   pacs.WebSearchFaults{Cap: 2, IgnoreOffset: true},
				Metadata: pacs.WebMetadataFaults{Missing: uids(st, 8, 16)},
			}
		},
	},
	{
		name: "metadata without pixels", delivered: -1, says: func(*phantom.Study) pacs.WebFaults {
			return pacs.WebFaults{
				Search: pacs.WebSearchFaults{Cap: 2, IgnoreOffset: true}, Metadata: pacs.WebMetadataFaults{NoPixelData: true},
			}
		},
	},
	{
		name: "a search that breaks off, once", delivered: -1,
		says: lists(pacs.WebSearchFaults{AnswerFaults: pacs.WebAnswerFaults{
			After: 1, First: 1, Cut: pacs.CutEnd, CutAfterBytes: 300,
		}}),
	},
	{
		name: "searches that break off, for ever", message: "can't be listed",
		says: lists(pacs.WebSearchFaults{AnswerFaults: pacs.WebAnswerFaults{
			After: 1, Cut: pacs.CutEnd, CutAfterBytes: 2500,
		}}),
		status: jobs.Failure,
	},
	{
		name: "a page of HTML instead of a list, once", delivered: -1,
		says: lists(pacs.WebSearchFaults{AnswerFaults: pacs.WebAnswerFaults{
			First: 1, Status: http.StatusOK, ContentType: "text/html", Body: "<html>Please log in</html>",
		}}),
	},
	{
		name: "hosts that nobody knows", delivered: -1,
		says: func(*phantom.Study) pacs.WebFaults { return pacs.WebFaults{Host: "pacs.invalid:1"} },
	},
}

// TestLyingSources: whatever a source of DICOMweb says, Success means that the destination acknowledged all, as it was.
func TestLyingSources(t *testing.T) {
	n := harness.New(t, quick())
	for _, f := range ofForms {
		f.delivered = -1
		f.name = "form: " + f.name
		ofRetrieves = append(ofRetrieves, f)
	}
	study := liars(2)
	all := slices.Concat(ofRetrieves, ofLists)
	tellAll(t, n, study, all, func(tt told, m pacs.Misbehave) (from, to string, dst *pacs.PACS) {
		src := startPACS(t, pacs.Config{Studies: []*phantom.Study{study, other}, Misbehave: m})
		dst = startPACS(t, pacs.Config{})
		return add(n, src, byWeb(src), tt.change), add(n, dst), dst
	})
}

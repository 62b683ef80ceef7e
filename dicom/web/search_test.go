// SPDX-License-Identifier: AGPL-3.0-or-later

package web

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/adit-go/adit/dicom/dict"
	"github.com/adit-go/adit/dicom/stream"
)

// answers writes studies as a server does.
func answers(uids ...string) string {
	list := []map[string]any{}
	for _, uid := range uids {
		list = append(list, map[string]any{"0020000D": map[string]any{"vr": "UI", "Value": []string{uid}}})
	}
	b, err := json.Marshal(list)
	if err != nil {
		panic(err)
	}
	return string(b)
}

// many are n UIDs.
func many(n int) []string {
	list := make([]string, n)
	for i := range list {
		list[i] = "1.2." + strconv.Itoa(i+1)
	}
	return list
}

// uids makes an identifier that names studies.
func uids(list ...string) *stream.DataSet {
	var ds stream.DataSet
	ds.Set(dict.StudyInstanceUID, list...)
	return &ds
}

func search(c *Client, s Search) (uids []string, err error) {
	for ds, err := range c.Search(context.Background(), s) {
		if err != nil {
			return uids, err
		}
		uids = append(uids, ds.String(s.Level.uid()))
	}
	return uids, nil
}

// TestSearchPages: all answers are found however a server pages, or it is said that some may be missing.
func TestSearchPages(t *testing.T) {
	all := many(450)
	// window gives a page; most is the server's own limit.
	window := func(r *http.Request, most int) (page []string, left int) {
		limit, _ := strconv.Atoi(r.FormValue("limit"))
		offset, _ := strconv.Atoi(r.FormValue("offset"))
		offset = min(offset, len(all))
		page = all[offset:min(offset+min(limit, most), len(all))]
		return page, len(all) - offset - len(page)
	}
	for _, c := range []struct {
		name       string
		answer     func(w http.ResponseWriter, r *http.Request)
		s          Search
		want       int
		incomplete string // part of why
		status     int
		requests   int
		short      bool
	}{
		{"pages", func(w http.ResponseWriter, r *http.Request) {
			page, _ := window(r, 1000)
			say(200, "application/dicom+json", answers(page...))(w)
		}, Search{}, 450, "", 0, 4, false},
		{"pages, as many as were expected", func(w http.ResponseWriter, r *http.Request) {
			page, _ := window(r, 1000)
			say(200, "application/dicom+json", answers(page...))(w)
		}, Search{Expect: 450}, 450, "", 0, 3, false},
		{"pages, more than were expected", func(w http.ResponseWriter, r *http.Request) {
			page, _ := window(r, 1000)
			say(200, "application/dicom+json", answers(page...))(w)
		}, Search{Expect: 400}, 450, "", 0, 4, false},
		{"a lower limit, 204 at the end", func(w http.ResponseWriter, r *http.Request) {
			page, _ := window(r, 100)
			if len(page) == 0 {
				w.WriteHeader(http.StatusNoContent)
				return
			}
			say(200, "application/dicom+json", answers(page...))(w)
		}, Search{}, 450, "", 0, 6, false},
		{"warnings until the end", func(w http.ResponseWriter, r *http.Request) {
			page, left := window(r, 100)
			if left > 0 {
				w.Header().Set("Warning", fmt.Sprintf(`299 x "There are %d additional results that can be requested"`, left))
			}
			say(200, "application/dicom+json", answers(page...))(w)
		}, Search{}, 450, "", 0, 6, false},
		{"a warning at the end", func(w http.ResponseWriter, r *http.Request) {
			page, left := window(r, 1000)
			if left == 0 && len(page) > 0 {
				w.Header().Set("Warning", `299 x "There are additional results that can be requested"`)
			}
			say(200, "application/dicom+json", answers(page...))(w)
		}, Search{}, 450, "there are more", 0, 4, false},
		{"another warning", func(w http.ResponseWriter, r *http.Request) {
			page, _ := window(r, 1000)
			w.Header().Set("Warning", `299 x "not all matching attributes are supported"`)
			say(200, "application/dicom+json", answers(page...))(w)
		}, Search{}, 450, "warning", 0, 4, false},
		{"no paging", func(w http.ResponseWriter, _ *http.Request) {
			say(200, "application/dicom+json", answers(all...))(w)
		}, Search{}, 450, "the same answers", 0, 2, false},
		{"offset refused", func(w http.ResponseWriter, r *http.Request) {
			if r.FormValue("offset") != "" {
				w.WriteHeader(http.StatusInternalServerError)
				return
			}
			say(200, "application/dicom+json", answers(all[:5]...))(w)
		}, Search{}, 5, "refuses", 500, 2, true},
		{"few, and no paging", func(w http.ResponseWriter, _ *http.Request) {
			say(200, "application/dicom+json", answers(all[:5]...))(w)
		}, Search{}, 5, "the same answers", 0, 2, true},
		{"few, and no paging, but a warning", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Warning", "299 x additional results")
			say(200, "application/dicom+json", answers(all[:5]...))(w)
		}, Search{}, 5, "the same answers", 0, 2, false},
		{"overlapping", func(w http.ResponseWriter, r *http.Request) {
			switch r.FormValue("offset") {
			case "":
				say(200, "application/dicom+json", answers(all[:5]...))(w)
			case "5":
				say(200, "application/dicom+json", answers(all[3:8]...))(w)
			default:
				say(200, "application/dicom+json", "[]")(w)
			}
		}, Search{}, 8, "overlap", 0, 3, false},
		{"busy on the second page", func(w http.ResponseWriter, r *http.Request) {
			if r.FormValue("offset") != "" {
				w.WriteHeader(http.StatusServiceUnavailable)
				return
			}
			say(200, "application/dicom+json", answers(all[:5]...))(w)
		}, Search{}, 5, "", 503, 2, false},
		{"endless", func(w http.ResponseWriter, r *http.Request) {
			offset, _ := strconv.Atoi(r.FormValue("offset"))
			say(200, "application/dicom+json", answers(many(offset + 200)[offset:]...))(w)
		}, Search{}, 1000, "than are read", 0, 5, false},
		{"as many as wanted", func(w http.ResponseWriter, r *http.Request) {
			page, _ := window(r, 1000)
			say(200, "application/dicom+json", answers(page...))(w)
		}, Search{Limit: 210}, 210, "", 0, 2, false},
		{"as many as were named", func(w http.ResponseWriter, r *http.Request) {
			saw(t, "1.2.3,1.2.4", r.FormValue("0020000D"))
			say(200, "application/dicom+json", answers("1.2.4", "1.2.3"))(w)
		}, Search{Match: uids("1.2.3", "1.2.4")}, 2, "", 0, 1, false},
		{"others than were named", func(w http.ResponseWriter, r *http.Request) {
			page, _ := window(r, 1000)
			say(200, "application/dicom+json", answers(page...))(w)
		}, Search{Match: uids("1.2.449")}, 1, "", 0, 3, false},
		{"without UIDs", func(w http.ResponseWriter, r *http.Request) {
			if r.FormValue("offset") != "" {
				say(204, "", "")(w)
				return
			}
			say(200, "application/dicom+json", `[{},{"0020000D":{"vr":"UI","Value":["1.2"]}}]`)(w)
		}, Search{}, 1, "no UID", 0, 2, false},
		{"nothing", func(w http.ResponseWriter, _ *http.Request) { say(204, "", "")(w) }, Search{}, 0, "", 0, 1, false},
		{"unknown", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNotFound) }, Search{}, 0, "", 404, 1, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			requests := 0
			cl := serve(t, func(w http.ResponseWriter, r *http.Request) {
				requests++
				c.answer(w, r)
			}, func(cfg *Config) { cfg.Limits.Answers = 1000 })
			c.s.Level = Study
			got, err := search(cl, c.s)
			require.Len(t, got, c.want)
			switch {
			case c.incomplete != "":
				var incomplete *IncompleteError
				require.ErrorAs(t, err, &incomplete)
				require.Contains(t, incomplete.Why, c.incomplete)
				require.Equal(t, c.want, incomplete.Answers)
				require.Equal(t, c.short, incomplete.Short)
			case c.status == 0:
				require.NoError(t, err)
			}
			if c.status != 0 {
				var status *StatusError
				require.ErrorAs(t, err, &status)
				require.Equal(t, c.status, status.Code)
			}
			require.Equal(t, c.requests, requests)
		})
	}
}

// TestSearchBlank: success without a list is believed only of a server that finds something else.
func TestSearchBlank(t *testing.T) {
	for _, blank := range []string{"", " \r\n", "null", "\xEF\xBB\xBFnull\n"} {
		for _, c := range []struct {
			name string
			// what the server finds: of the search, behind its first page, and at all
			first, more, any string
			blanks           int // until it answers as it should
			want             int
			requests         int
			fails            bool
		}{
			{name: "it says so", first: blank, any: answers("1.2"), requests: 3},
			{name: "it says so at the end", first: answers("1.2.1"), more: blank, any: answers("1.2"), want: 1, requests: 4},
			{name: "it finds nothing at all", first: blank, any: blank, requests: 3, fails: true},
			{name: "it has nothing", first: blank, any: "[]", requests: 3, fails: true},
			{name: "it ends in between", first: answers("1.2.1"), more: blank, any: blank, want: 1, requests: 4, fails: true},
			{name: "once", first: answers("1.2.1"), more: "[]", blanks: 1, want: 1, requests: 3},
		} {
			t.Run(c.name, func(t *testing.T) {
				requests := 0
				cl := serve(t, func(w http.ResponseWriter, r *http.Request) {
					body := c.first
					switch requests++; {
					case requests <= c.blanks:
						body = blank
					case r.FormValue("0020000D") == "":
						saw(t, "1", r.FormValue("limit"))
						body = c.any
					case r.FormValue("offset") != "":
						body = c.more
					}
					say(200, "application/dicom+json", body)(w)
				})
				got, err := search(cl, Search{Level: Study, Match: uids("1.2.1", "1.2.2")})
				require.Len(t, got, c.want)
				require.Equal(t, c.requests, requests)
				var answer *AnswerError
				if !c.fails {
					require.NoError(t, err)
					return
				}
				require.ErrorAs(t, err, &answer)
				require.True(t, answer.Empty)
			})
		}
		cl := serve(t, func(w http.ResponseWriter, _ *http.Request) { say(200, "application/dicom+json", blank)(w) })
		var last error
		for _, last = range cl.Metadata(t.Context(), Resource{Study: "1.2"}) {
		}
		require.ErrorAs(t, last, new(*AnswerError), "what exists has metadata")
	}
}

// TestSearchAnswers: what isn't an answer is an error; what follows from the path is added.
func TestSearchAnswers(t *testing.T) {
	for body, want := range map[string]any{
		`[{"0020000D":{"vr":"UI","Value":["1.2"]}}`: new(*BrokenError),
		`<html>made-up`:      new(*AnswerError),
		`"made-up"`:          new(*AnswerError),
		"\xFF\xFE[\x00]\x00": new(*AnswerError),
		"\x00[\x00]":         new(*AnswerError),
		"[\x00]\x00":         new(*AnswerError),
		`[{"0020000D":{"vr":"UI","Value":[made-up]}`: new(*AnswerError),
		strings.Repeat(" ", 100<<10):                 new(*AnswerError),
	} {
		c := serve(t, func(w http.ResponseWriter, _ *http.Request) { say(200, "application/dicom+json", body)(w) })
		_, err := search(c, Search{Level: Study})
		require.ErrorAs(t, err, want, "%.30s", body)
		require.NotContains(t, err.Error(), "made-up")
		var last error
		for _, last = range c.Metadata(t.Context(), Resource{Study: "1.2"}) {
		}
		require.ErrorAs(t, last, want, "%.30s", body)
	}
	c := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.FormValue("offset") == "" {
			say(200, "application/dicom+json", `[{"0020000E":{"vr":"UI","Value":["1.2.1"]}},
				{"0020000E":{"vr":"UI","Value":["1.2.2"]},"0020000D":{"vr":"UI","Value":["1.3"]}}]`)(w)
		}
	})
	n := 0
	for ds, err := range c.Search(t.Context(), Search{Level: Series, In: Resource{Study: "1.2"}}) {
		require.NoError(t, err)
		require.Equal(t, "1.2", ds.String(dict.StudyInstanceUID))
		n++
	}
	require.Equal(t, 1, n)
	for range c.Search(t.Context(), Search{Level: Series, In: Resource{Study: "1.2"}}) {
		break
	}
	for range c.Metadata(t.Context(), Resource{Study: "1.2"}) {
		break
	}
}

// TestSearchCompressed: compressed answers are read, and bounded by what they inflate to.
func TestSearchCompressed(t *testing.T) {
	for size, want := range map[int]any{1: nil, 1 << 20: new(*AnswerError)} {
		var zipped bytes.Buffer
		z := gzip.NewWriter(&zipped)
		_, _ = z.Write([]byte(`[{"0020000D":{"vr":"UI","Value":["1.2"]},"x":"` + strings.Repeat("0", size) + `"}]`))
		require.NoError(t, z.Close())
		for cut := range 2 {
			c := serve(t, func(w http.ResponseWriter, r *http.Request) {
				if r.FormValue("offset") == "" {
					w.Header().Set("Content-Encoding", "gzip")
					say(200, "application/dicom+json", zipped.String()[:zipped.Len()-cut])(w)
				}
			}, func(cfg *Config) { cfg.Limits.JSON = 100 << 10 })
			_, err := search(c, Search{Level: Study})
			switch {
			case want != nil:
				require.ErrorAs(t, err, want)
			case cut > 0:
				require.ErrorAs(t, err, new(*BrokenError))
			default:
				require.NoError(t, err)
			}
		}
	}
}

// TestSearchModalities: each is asked for alone, and an answer is given once.
func TestSearchModalities(t *testing.T) {
	c := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.FormValue("offset") != "" {
			say(200, "application/dicom+json", "[]")(w)
			return
		}
		switch r.FormValue("00080061") {
		case "CT":
			say(200, "application/dicom+json", answers("1.2", "1.3"))(w)
		case "MR":
			say(200, "application/dicom+json", answers("1.3", "1.4"))(w)
		default:
			say(400, "", "")(w)
		}
	})
	match := uids()
	match.Set(dict.ModalitiesInStudy, "CT", "MR")
	got, err := search(c, Search{Level: Study, Match: match})
	require.NoError(t, err)
	require.Equal(t, []string{"1.2", "1.3", "1.4"}, got)
}

// TestBulkData: values come from the server's own root, whatever host their URI names.
func TestBulkData(t *testing.T) {
	c := serve(t, func(w http.ResponseWriter, r *http.Request) {
		saw(t, "secret", r.Header.Get("X-Key"))
		switch r.URL.Path {
		case "/root/studies/1/bulk/1":
			say(200, "multipart/related; boundary=b", "--b\r\n\r\nvalue\r\n--b--")(w)
		case "/root/studies/1/bulk/2":
			say(200, "application/octet-stream", "value")(w)
		case "/root/studies/1/bulk/3":
			say(200, "multipart/related; boundary=b", "--b\r\n\r\nvalue\r\n--b\r\n\r\nvalue\r\n--b--")(w)
		case "/root/studies/1/bulk/4":
			say(200, "multipart/related; boundary=b", "--b\r\n\r\nvalue\r\n")(w)
		case "/root/studies/1/bulk/5":
			say(200, "text/html", "value")(w)
		case "/root/studies/1/bulk/6":
			say(200, "multipart/related; boundary=b", "--b--")(w)
		default:
			w.WriteHeader(http.StatusNotFound)
		}
	}, func(cfg *Config) { cfg.Credentials = FixedHeader("X-Key", "secret") })
	for uri, ok := range map[string]bool{
		"http://nowhere.example/other/studies/1/bulk/1": true, "/studies/1/bulk/2": true,
		"studies/1/bulk/2": false, "/studies/1/bulk/3": false, "/studies/1/bulk/4": false, "/studies/1/bulk/5": false,
		"/studies/1/bulk/6": false, "/studies/1/bulk/7": false, "/studies/1/../../bulk": false, "/studies/1%2F..": false,
		"http://a@b/studies/1/bulk/1": false, "/studies/1?x=y": false, "": false, ":": false, "/studies//1": false,
	} {
		got := ""
		err := c.BulkData(t.Context(), uri, func(r io.Reader) error {
			b, err := io.ReadAll(r)
			got = string(b)
			return err
		})
		if !ok {
			require.Error(t, err, uri)
			continue
		}
		require.NoError(t, err, uri)
		require.Equal(t, "value", got)
	}
}

// SPDX-License-Identifier: AGPL-3.0-or-later

package web

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/adit-go/adit/dicom/dict"
	"github.com/adit-go/adit/dicom/stream"
	"github.com/adit-go/adit/dicom/web/dicomjson"
)

// Search is a query (QIDO-RS, PS3.18 10.6).
type Search struct {
	Level Level
	In    Resource // a study or a series of it; empty: the whole server
	// Match has the keys with their values, as the identifier of a C-FIND has them: a list of UIDs, ranges, wildcards.
	// Keys without a value are wanted in the answers, as those of Include. Several values of a modality match any.
	Match   *stream.DataSet
	Include []dict.Tag
	Limit   int // answers that are enough; 0: all
	// Expect is how many answers the server counts elsewhere; 0: it doesn't. A page that is not full and completes that
	// number is the last, and no empty one is asked for: servers look through all that they have for each page.
	Expect int
}

// page is how many answers are asked for at once. Some servers refuse more.
const page = 200

// Search yields the answers. Each is given once, and only if its UIDs fit those that were asked for; of other keys the
// caller must check that the server heeded them. What is missing of the UIDs in In is added.
//
// An error is always the last. *IncompleteError says that nobody knows whether these are all: the server can't give
// them page by page, says itself that there are more, or gives other answers each time. A loop that Limit or its caller
// ends early says nothing about completeness. The client is free for other things only when the loop has ended.
func (c *Client) Search(ctx context.Context, s Search) iter.Seq2[*stream.DataSet, error] {
	return func(yield func(*stream.DataSet, error) bool) {
		q, err := c.newSearch(s)
		if err != nil {
			yield(nil, err)
			return
		}
		q.yield = yield
		if err := q.run(ctx); err != nil && !q.left {
			yield(nil, err)
		}
	}
}

// searching is a search under way.
type searching struct {
	c        *Client
	s        Search
	path     string
	keys     url.Values
	variants []url.Values          // further keys, one request each
	wild     map[string]bool       // keys that may have wildcards
	exact    map[dict.Tag][]string // UIDs that answers must have where they have the attribute
	yield    func(*stream.DataSet, error) bool
	left     bool // the caller has left the loop

	seen  map[string]bool // UIDs of answers, over all variants
	raw   int             // answers that came, wanted or not
	given int
	doubt string // why the answers may not be all
	short bool   // it can be only for want of pages, and the one that came was not full
	more  string // as doubt, unless the next page shows otherwise
}

func (c *Client) newSearch(s Search) (*searching, error) {
	if s.Level < Study || s.Level > Instance {
		return nil, errors.New("a DICOMweb search is for studies, series or instances")
	}
	q := &searching{
		c: c, s: s, keys: url.Values{}, exact: map[dict.Tag][]string{}, wild: map[string]bool{}, seen: map[string]bool{},
		variants: []url.Values{{}},
	}
	include := slices.Clone(s.Include)
	if s.Match != nil {
		include = q.match("", s.Match, include)
	}
	in := q.within()
	if _, err := in.path(); err != nil {
		return nil, err
	}
	// The UID of what is searched for is a key, not a place.
	for _, part := range []struct {
		uid *string
		of  Level
	}{{&in.Study, Study}, {&in.Series, Series}, {&in.Instance, Instance}} {
		tag := part.of.uid()
		switch {
		case *part.uid == "":
			continue
		case part.of >= s.Level:
			q.keys.Set(name(tag), *part.uid)
		}
		q.exact[tag] = []string{*part.uid}
		if part.of >= s.Level {
			*part.uid = ""
		}
	}
	path, err := in.path()
	if err != nil {
		return nil, err
	}
	q.path = path + "/" + s.Level.String()
	q.s.In = in
	slices.Sort(include)
	for _, tag := range slices.Compact(include) {
		q.keys.Add("includefield", name(tag))
	}
	return q, nil
}

// name writes a tag as a key: servers know digits better than keywords.
func name(t dict.Tag) string { return fmt.Sprintf("%08X", uint32(t)) }

// match takes the keys out of an identifier, or of an item of one of its sequences.
func (q *searching) match(above string, ds *stream.DataSet, include []dict.Tag) []dict.Tag {
	for e := range ds.All() {
		key := above + name(e.Tag)
		switch {
		case e.Tag == dict.SpecificCharacterSet, e.Tag == dict.QueryRetrieveLevel, e.Tag.Group() == 0, e.Tag.IsGroupLength():
			continue
		case e.VR == dict.SQ && len(e.Items) > 0:
			q.match(key+".", e.Items[0], nil)
			continue
		}
		values := ds.Strings(e.Tag)
		switch {
		case len(values) == 0:
			include = append(include, e.Tag)
		case e.VR == dict.UI:
			q.keys.Set(key, strings.Join(values, ","))
			if above == "" {
				q.exact[e.Tag] = values
			}
		case len(values) > 1 && (e.Tag == dict.ModalitiesInStudy || e.Tag == dict.Modality):
			// Servers understand neither lists nor repeated keys in the same way.
			q.variants = nil
			for _, v := range values {
				q.variants = append(q.variants, url.Values{key: {v}})
			}
		default:
			q.keys.Set(key, strings.Join(values, `\`))
			q.wild[key] = isWild(e.VR)
		}
	}
	return include
}

// within is the resource to search in: that of the search, or what its keys say of it.
func (q *searching) within() Resource {
	in := q.s.In
	for _, part := range []struct {
		uid *string
		of  Level
	}{{&in.Study, Study}, {&in.Series, Series}} {
		tag := part.of.uid()
		if list := q.exact[tag]; len(list) == 1 && *part.uid == "" && part.of < q.s.Level {
			if part.of == Series && in.Study == "" {
				break // it stays a key
			}
			*part.uid = list[0]
			q.keys.Del(name(tag))
		}
	}
	return in
}

// encode writes keys as a query. It escapes no character that may stand as it is (RFC 3986 3.4): Orthanc unescapes keys
// but not their values.
func encode(keys ...url.Values) string {
	var parts []string
	for _, k := range keys {
		for _, name := range slices.Sorted(maps.Keys(k)) {
			for _, value := range k[name] {
				parts = append(parts, name+"="+escape(value))
			}
		}
	}
	return strings.Join(parts, "&")
}

func escape(value string) string {
	var b strings.Builder
	for _, c := range []byte(value) {
		if plain(c) {
			b.WriteByte(c)
		} else {
			fmt.Fprintf(&b, "%%%02X", c)
		}
	}
	return b.String()
}

func plain(c byte) bool {
	return '0' <= c && c <= '9' || 'a' <= c|0x20 && c|0x20 <= 'z' || strings.IndexByte("-._~*,/?:@!$()'", c) >= 0
}

// loosen puts wildcards where a value has characters that must be escaped, for servers that don't unescape them: what
// they find so is for the caller to check. It is nil if there is nothing to loosen.
func (q *searching) loosen() url.Values {
	loose := maps.Clone(q.keys)
	found := false
	for key, values := range loose {
		if !q.wild[key] {
			continue
		}
		text := strings.Map(func(r rune) rune {
			if r < 0x80 && plain(byte(r)) {
				return r
			}
			return '*'
		}, values[0])
		for strings.Contains(text, "**") {
			text = strings.ReplaceAll(text, "**", "*")
		}
		if text != values[0] {
			found = true
			loose[key] = []string{text}
		}
	}
	if !found {
		return nil
	}
	return loose
}

// isWild reports whether values of the VR may be matched with wildcards (PS3.4 C.2.2.2.4).
func isWild(vr dict.VR) bool {
	switch vr {
	case dict.AE, dict.CS, dict.LO, dict.LT, dict.PN, dict.SH, dict.ST, dict.UC, dict.UR, dict.UT:
		return true
	}
	return false
}

func (q *searching) run(ctx context.Context) error {
	for _, variant := range q.variants {
		before := q.raw
		err := q.pages(ctx, q.keys, variant)
		if loose := q.loosen(); err == nil && q.raw == before && loose != nil {
			err = q.pages(ctx, loose, variant)
		}
		if err != nil || q.left || q.enough() {
			return err
		}
	}
	if q.doubt != "" {
		return &IncompleteError{Why: q.doubt, Answers: q.given, Short: q.short}
	}
	return nil
}

// enough tells that no more answers are wanted, or can be: as many as were named.
func (q *searching) enough() bool {
	if q.s.Limit > 0 && q.given >= q.s.Limit {
		return true
	}
	named := q.exact[q.s.Level.uid()]
	return len(named) > 0 && q.given == len(slices.Compact(slices.Sorted(slices.Values(named))))
}

// pages asks page by page until one is empty: servers give fewer than they are asked for.
func (q *searching) pages(ctx context.Context, keys, variant url.Values) error {
	q.more = ""
	pages := 0
	for offset := 0; ; pages++ {
		before := q.more
		got, err := q.believed(ctx, keys, variant, offset)
		if incomplete, ok := errors.AsType[*IncompleteError](err); ok {
			incomplete.Short = q.doubt == "" && q.onlyPage(pages, before, offset)
		}
		if err != nil || q.left || q.enough() {
			return err
		}
		switch {
		case got.answers == 0:
			q.doubts(cmp.Or(q.more, before))
			return nil
		case got.fresh == 0 && offset > 0:
			q.short = q.doubt == "" && q.onlyPage(pages, before, offset)
			q.doubts("it gives the same answers again instead of further ones")
			return nil
		case got.again > 0 && offset > 0:
			q.doubts("its pages overlap, so that others may be missing")
		case q.asExpected(got):
			return nil
		}
		if offset += got.answers; q.raw >= q.c.cfg.Limits.Answers {
			q.doubts("these are more than are read of one search")
			return nil
		}
	}
}

// asExpected tells that a page is the last by the number of answers that the server counts elsewhere.
func (q *searching) asExpected(got pageCount) bool {
	return q.s.Expect > 0 && q.given == q.s.Expect && got.answers < page && q.more == "" && len(q.variants) == 1
}

// onlyPage tells that one page came, which was not full, and without a word of more.
func (q *searching) onlyPage(pages int, more string, answers int) bool {
	return pages == 1 && len(q.variants) == 1 && more == "" && answers < page
}

func (q *searching) doubts(why string) {
	if q.doubt == "" {
		q.doubt = why
	}
}

// pageCount counts the answers of a page.
type pageCount struct {
	answers int
	fresh   int // not seen before in this variant's pages
	again   int
	blank   bool // success without a list
}

// believed asks for a page. Success without a list is how some servers say that nothing matches, and what comes of a
// proxy behind which nobody answers: it is asked for once more, and believed of a server that has any study.
func (q *searching) believed(ctx context.Context, keys, variant url.Values, offset int) (pageCount, error) {
	got, err := q.page(ctx, keys, variant, offset)
	if err == nil && got.blank {
		got, err = q.page(ctx, keys, variant, offset)
	}
	if err == nil && got.blank {
		err = q.c.findsAny(ctx, q.s.Level)
	}
	return got, err
}

// findsAny is nil if the server finds a study where any will do.
func (c *Client) findsAny(ctx context.Context, level Level) error {
	x, err := c.do(ctx, request{
		doing: "search for any study", method: http.MethodGet, prefix: c.cfg.QIDO, path: "/" + Study.String(),
		query: "limit=1", accept: acceptJSON, compress: true,
	})
	if err != nil {
		return err
	}
	defer x.close()
	if x.rsp.StatusCode == http.StatusOK || x.rsp.StatusCode == http.StatusPartialContent {
		for _, err := range x.dataSets() {
			if err == nil {
				_ = x.finish() // for the connection's sake
			}
			return err
		}
	}
	return &AnswerError{
		Doing: "search for " + level.String(), Empty: true,
		What: "it is empty, where [] or status 204 says that there is nothing, and a search for any study finds none " +
			"either; a proxy may stand before a server that is away",
	}
}

func (q *searching) page(
	ctx context.Context, keys, variant url.Values, offset int,
) (got pageCount, err error) {
	limit := page
	if q.s.Limit > 0 {
		limit = min(limit, q.s.Limit-q.given)
	}
	paging := url.Values{"limit": {strconv.Itoa(limit)}}
	if offset > 0 {
		paging.Set("offset", strconv.Itoa(offset))
	}
	x, err := q.c.do(ctx, request{
		doing: "search for " + q.s.Level.String(), method: http.MethodGet, prefix: q.c.cfg.QIDO, path: q.path,
		query: encode(keys, variant, paging), accept: acceptJSON, compress: true,
	})
	if err != nil {
		return got, err
	}
	defer x.close()
	switch code := x.rsp.StatusCode; {
	case code == http.StatusNoContent:
		q.warned(x)
		return got, nil
	case code == http.StatusOK || code == http.StatusPartialContent:
	case offset > 0 && unable(code):
		return got, &IncompleteError{
			Why: "it refuses to go on behind the first of them", Answers: q.given, Err: x.failed(),
		}
	default:
		return got, x.failed()
	}
	for ds, err := range x.dataSets() {
		if err != nil {
			return got, err
		}
		got.answers++
		if q.raw++; q.raw > q.c.cfg.Limits.Answers {
			break
		}
		if q.answer(ds, variant, &got); q.left {
			return got, nil
		}
		if q.enough() {
			_ = x.finish() // for the connection's sake
			return got, nil
		}
	}
	if q.raw <= q.c.cfg.Limits.Answers {
		q.warned(x)
	}
	got.blank = x.blank
	return got, nil
}

// unable tells that a server answers so to what it doesn't know.
func unable(code int) bool {
	switch code {
	case http.StatusBadRequest, http.StatusNotFound, http.StatusMethodNotAllowed, http.StatusInternalServerError,
		http.StatusNotImplemented:
		return true
	}
	return false
}

// warned notes what a page's Warning means: each of them casts doubt, but that there are additional results, with which
// the next page may come (PS3.18 8.3.4.4).
func (q *searching) warned(x *exchange) {
	q.more = ""
	for _, w := range x.warnings() {
		if !strings.HasPrefix(strings.TrimSpace(w), "299") {
			continue
		}
		if strings.Contains(strings.ToLower(w), "additional") {
			q.more = "it says that there are more"
		} else {
			q.doubts("it gave a warning with them")
		}
	}
}

// answer yields an answer unless it was given before or isn't what was asked for.
func (q *searching) answer(ds *stream.DataSet, variant url.Values, got *pageCount) {
	own := ds.String(q.s.Level.uid())
	if own == "" {
		q.doubts("one has no UID")
		return
	}
	// Each variant has pages of its own.
	paged := strings.Join(variant[name(dict.ModalitiesInStudy)], "") + strings.Join(variant[name(dict.Modality)], "") +
		"/" + own
	if q.seen[paged] {
		got.again++
		return
	}
	got.fresh++
	q.seen[paged] = true
	if len(q.variants) > 1 {
		if q.seen[own] {
			return
		}
		q.seen[own] = true
	}
	for tag, uids := range q.exact {
		if value := ds.String(tag); value != "" && !slices.Contains(uids, value) {
			return
		}
	}
	for tag, uid := range map[dict.Tag]string{
		dict.StudyInstanceUID: q.s.In.Study, dict.SeriesInstanceUID: q.s.In.Series,
	} {
		if uid != "" && ds.String(tag) == "" {
			ds.Set(tag, uid)
		}
	}
	q.given++
	q.left = !q.yield(ds, nil)
}

// Metadata yields the data sets of a study, a series or an instance without their large values (PS3.18 10.4.1.1.2). An
// error is always the last; *StatusError with 404 says that the server knows no such thing, or has no metadata. See
// Search about when the client is free again.
func (c *Client) Metadata(ctx context.Context, r Resource) iter.Seq2[*stream.DataSet, error] {
	return func(yield func(*stream.DataSet, error) bool) {
		path, err := r.path()
		if err == nil && path == "" {
			err = errors.New("the metadata of no study was asked for")
		}
		if err != nil {
			yield(nil, err)
			return
		}
		x, err := c.do(ctx, request{
			doing: "request for the metadata of " + r.String(), method: http.MethodGet, prefix: c.cfg.WADO,
			path: path + "/metadata", accept: acceptJSON, compress: true,
		})
		if err != nil {
			yield(nil, err)
			return
		}
		defer x.close()
		switch x.rsp.StatusCode {
		case http.StatusOK:
		case http.StatusNoContent:
			return
		default:
			yield(nil, x.failed())
			return
		}
		for ds, err := range x.dataSets() {
			if !yield(ds, err) {
				return
			}
		}
		if x.blank { // what exists has metadata
			yield(nil, x.empty())
		}
	}
}

// dataSets yields the data sets of an answer in JSON. One without any content, or null, has none, and is blank.
func (x *exchange) dataSets() iter.Seq2[*stream.DataSet, error] {
	return func(yield func(*stream.DataSet, error) bool) {
		in := bufio.NewReaderSize(&content{Reader: x.in, x: x}, 32<<10)
		first, err := firstByte(in)
		switch {
		case err == io.EOF: //nolint:errorlint // only exactly this value says that the answer is whole
			x.blank = true
			return
		case err != nil:
			yield(nil, err)
			return
		case first == 'n': // null: an empty list, as some write it
			if b, _ := in.Peek(len("null")); string(b) == "null" {
				x.blank = true
				if err := x.finish(); err != nil {
					yield(nil, err)
				}
				return
			}
			fallthrough
		case isWide(peeked(in, 2)):
			yield(nil, x.invalid(wide))
			return
		case first != '[' && first != '{':
			yield(nil, x.invalid("it is "+kind(x.mediaType())+", not JSON; check the address of the server"))
			return
		}
		lim := x.c.cfg.Limits
		d := dicomjson.NewDecoder(in, dicomjson.Limits{Bytes: lim.JSON, DataSet: lim.DataSet, Depth: lim.Depth})
		for ds, err := range d.All() {
			if err != nil {
				yield(nil, x.unreadable(err))
				return
			}
			if !yield(ds, nil) {
				return
			}
		}
		if err := x.finish(); err != nil {
			yield(nil, err)
		}
	}
}

func peeked(in *bufio.Reader, n int) []byte {
	b, _ := in.Peek(n)
	return b
}

// firstByte is the first byte behind blanks and a byte order mark. It stays to be read.
func firstByte(in *bufio.Reader) (byte, error) {
	if b, _ := in.Peek(3); string(b) == "\xEF\xBB\xBF" {
		_, _ = in.Discard(3)
	}
	for range maxRest {
		b, err := in.Peek(1)
		if err != nil {
			return 0, err
		}
		if b[0] != ' ' && b[0] != '\t' && b[0] != '\r' && b[0] != '\n' {
			return b[0], nil
		}
		_, _ = in.Discard(1)
	}
	return 0, nil
}

// unreadable says what an error of the decoder means.
func (x *exchange) unreadable(err error) error {
	switch {
	case x.err != nil:
		return x.err
	case errors.Is(err, io.ErrUnexpectedEOF):
		return &BrokenError{Doing: x.rq.doing, Err: io.ErrUnexpectedEOF}
	}
	return x.invalid(err.Error())
}

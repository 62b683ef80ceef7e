// SPDX-License-Identifier: AGPL-3.0-or-later

package dicomweb

import (
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/adit-go/adit/dicom/dict"
	"github.com/adit-go/adit/dicom/stream"
	"github.com/adit-go/adit/engine/query"
	"github.com/adit-go/adit/internal/refusal"
)

// asked is what the query of an address asks for (PS3.18 8.3.4).
type asked struct {
	search        query.AttributeSearch
	limit, offset int // 0: none
	fuzzy         bool
	canonical     string // what is searched for, without the page
	keys          []dict.Tag
}

// maxKeys bounds the parameters of a search.
const maxKeys = 100

// readQuery reads the parameters of a search.
func readQuery(values url.Values) (q asked, err error) {
	q.search.Match = &stream.DataSet{}
	rest := url.Values{}
	if len(values) > maxKeys {
		return q, bad("", "has more than %d parameters", maxKeys)
	}
	for name, given := range values {
		switch name {
		case "limit":
			q.limit, err = number(name, given)
		case "offset":
			q.offset, err = number(name, given)
		case "fuzzymatching":
			q.fuzzy, err = truth(name, given)
		case "includefield":
			err = q.include(given)
			rest[name] = given
		case "accept", "charset":
		default:
			err = q.match(name, given)
			rest[name] = given
		}
		if err != nil {
			return q, err
		}
	}
	q.canonical = rest.Encode()
	return q, nil
}

func bad(field, format string, args ...any) error {
	return &refusal.Invalid{Field: field, Reason: fmt.Sprintf(format, args...)}
}

func number(name string, given []string) (int, error) {
	n, err := strconv.Atoi(given[0])
	if err != nil || n < 0 || len(given) > 1 {
		return 0, bad(name, "must be a whole number, and not below 0")
	}
	return n, nil
}

func truth(name string, given []string) (bool, error) {
	switch {
	case len(given) == 1 && given[0] == "true":
		return true, nil
	case len(given) == 1 && given[0] == "false":
		return false, nil
	}
	return false, bad(name, "must be true or false")
}

// include reads attributes that answers are to hold: one each time, several with commas, or all, which are the usual
// ones here.
func (q *asked) include(given []string) error {
	for _, names := range given {
		for name := range strings.SplitSeq(names, ",") {
			if name = strings.TrimSpace(name); name == "" || name == "all" {
				continue
			}
			tag, ok := attribute(name)
			if !ok {
				return bad("includefield", noAttribute, shown(name))
			}
			if !slices.Contains(q.search.Include, tag) {
				q.search.Include = append(q.search.Include, tag)
			}
		}
	}
	return nil
}

// match reads a key with what is asked for. UIDs and modalities may be several, with commas or, as OHIF writes them,
// backslashes.
func (q *asked) match(name string, given []string) error {
	tag, ok := attribute(name)
	if !ok || tag.Group() <= 2 || tag == dict.SpecificCharacterSet || tag == dict.QueryRetrieveLevel {
		return bad("", noAttribute, shown(name))
	}
	vr := dict.VROf(tag)
	if slices.Contains(unsearched, vr) {
		return bad(name, "can't be searched by: it is a sequence or binary")
	}
	if slices.Contains(q.keys, tag) {
		return bad(name, "is given more than once")
	}
	q.keys = append(q.keys, tag)
	wanted, err := valuesOf(name, given, vr, vr == dict.UI || tag == dict.Modality || tag == dict.ModalitiesInStudy)
	if err != nil {
		return err
	}
	if len(wanted) == 0 { // any value, and the answer is to tell it
		q.search.Include = append(q.search.Include, tag)
		return nil
	}
	q.search.Match.Set(tag, wanted...)
	return nil
}

// valuesOf reads what a key asks for.
func valuesOf(name string, given []string, vr dict.VR, several bool) (wanted []string, err error) {
	for _, text := range given {
		list := []string{text}
		if several {
			list = strings.FieldsFunc(text, func(r rune) bool { return r == ',' || r == '\\' })
		}
		for _, value := range list {
			if value = strings.TrimSpace(value); strings.Trim(value, "*") != "" {
				wanted = append(wanted, value)
			}
		}
	}
	switch {
	case len(wanted) > 1 && !several:
		return nil, bad(name, "is given more than once")
	case len(wanted) > query.MaxModalities && vr != dict.UI:
		return nil, bad(name, "names more than %d modalities, each of which is a query of its own", query.MaxModalities)
	}
	for _, value := range wanted {
		switch {
		case strings.ContainsFunc(value, unicode.IsControl):
			return nil, bad(name, "contains control characters")
		case strings.Contains(value, `\`):
			return nil, bad(name, "contains a backslash")
		case vr == dict.UI && !dict.ValidUID(value):
			return nil, bad(name, "is not a UID")
		case vr == dict.DA && !validDates(value):
			return nil, bad(name, "is neither a date (YYYYMMDD) nor a range of dates")
		}
	}
	return wanted, nil
}

// validDates reports whether a text is a date, or two with a hyphen between them, one of which may be missing.
func validDates(text string) bool {
	from, to, ranged := strings.Cut(text, "-")
	if !ranged {
		return validDate(text)
	}
	return text != "-" && (from == "" || validDate(from)) && (to == "" || validDate(to))
}

func validDate(text string) bool {
	_, err := time.Parse("20060102", text)
	return err == nil
}

const noAttribute = "%q is no attribute to search by: give its keyword, or its tag as eight hexadecimal digits"

// unsearched are VRs of which nobody matches values.
var unsearched = []dict.VR{dict.SQ, dict.OB, dict.OW, dict.OD, dict.OF, dict.OL, dict.OV, dict.UN}

// attribute finds an attribute by its keyword or its tag.
func attribute(name string) (dict.Tag, bool) {
	if e, ok := dict.ByKeyword(name); ok {
		return e.Tag, true
	}
	if len(name) != 8 {
		return 0, false
	}
	n, err := strconv.ParseUint(name, 16, 32)
	return dict.Tag(n), err == nil
}

// shown is a name as an error repeats it: a value may stand where a name should.
func shown(name string) string {
	if len(name) > 40 || strings.ContainsFunc(name, func(r rune) bool { return r > '~' || r < ' ' || r == '^' }) {
		return "a name"
	}
	return name
}

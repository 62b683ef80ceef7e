// SPDX-License-Identifier: AGPL-3.0-or-later

package web

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"

	"github.com/adit-go/adit/dicom/dict"
)

// stored reads the answer to a request to store. What it says about the instances counts, whatever its status.
func (x *exchange) stored(out Stored) (Stored, error) {
	out.Status = x.rsp.StatusCode
	body, err := io.ReadAll(io.LimitReader(&content{Reader: x.in, x: x}, x.c.cfg.Limits.Store+1))
	if broken := isType[*BrokenError](err) || isType[*TimeoutError](err); broken && refusal(out.Status) {
		return Stored{}, x.status(body) // some close at once behind the status
	}
	if err != nil {
		return Stored{}, err
	}
	if int64(len(body)) > x.c.cfg.Limits.Store {
		return Stored{}, x.invalid("it is larger than allowed")
	}
	said, ok := readAnswer(body)
	if ok {
		return out, x.judge(said, out.Instances)
	}
	switch code := out.Status; {
	case code < 300 && isPage(body):
		return Stored{}, x.invalid(
			"it is a page, which says nothing about the instances; check the address of the server, and its credentials",
		)
	case code < 300 && isWide(body):
		return Stored{}, x.invalid(wide)
	case code == http.StatusOK, code == http.StatusAccepted, code == http.StatusNoContent, code == http.StatusBadRequest,
		code == http.StatusConflict:
		return out, nil // it says nothing about any instance
	case code < 300:
		return Stored{}, x.invalid("it has the status " + strconv.Itoa(code) + " and says nothing about the instances")
	}
	return Stored{}, x.status(body)
}

// isPage tells that an answer is for people, such as a page to log in at.
func isPage(body []byte) bool {
	begin := bytes.ToLower(bytes.TrimLeft(bytes.TrimPrefix(body, []byte("\xEF\xBB\xBF")), " \t\r\n"))
	return bytes.HasPrefix(begin, []byte("<!doctype html")) || bytes.HasPrefix(begin, []byte("<html"))
}

// isWide tells that JSON is in UTF-16 or UTF-32, with a mark of the byte order or without.
func isWide(b []byte) bool {
	return len(b) > 1 && (b[0] == 0 || b[1] == 0 || string(b[:2]) == "\xFF\xFE" || string(b[:2]) == "\xFE\xFF")
}

const wide = "it is in UTF-16 or UTF-32, where JSON has to be in UTF-8 (RFC 8259 8.1)"

// refusal tells that a status alone says that the request was not carried out.
func refusal(code int) bool {
	return code > http.StatusBadRequest && code != http.StatusConflict
}

// said is what an answer says about instances.
type said struct {
	delivered, failed []saying
	others            []saying // failures of objects that the server can't name
}

type saying struct {
	uid    string
	reason uint16
	text   string
}

// judge enters what was said. An instance that was not sent is an error.
func (x *exchange) judge(s said, instances map[string]Result) error {
	unsent := 0
	spoken := map[string]bool{}
	enter := func(list []saying, outcome Outcome) {
		for _, one := range list {
			before, sent := instances[one.uid]
			if !sent {
				unsent++
				continue
			}
			r := Result{Outcome: outcome, Reason: one.text, Warning: one.reason}
			if outcome == Refused {
				r.Warning, r.Failure = 0, one.reason
			}
			if spoken[one.uid] && before.Outcome != outcome { // delivered and failed at once
				r.Outcome = Unknown
			}
			spoken[one.uid] = true
			instances[one.uid] = r
		}
	}
	enter(s.delivered, Acknowledged)
	enter(s.failed, Refused)
	// Failures without a name are those of the instances without a word, if they are as many.
	if len(s.others) > 0 && len(s.others) == len(instances)-len(spoken) {
		for uid := range instances {
			if !spoken[uid] {
				instances[uid] = Result{Outcome: Refused, Failure: common(s.others), Reason: s.others[0].text}
			}
		}
	}
	if unsent > 0 {
		return x.invalid(fmt.Sprintf("it names %d instances that were not sent", unsent))
	}
	return nil
}

// common is the reason of all, 0 if they have different ones.
func common(list []saying) uint16 {
	for _, one := range list {
		if one.reason != list[0].reason {
			return 0
		}
	}
	return list[0].reason
}

// readAnswer reads an answer in JSON or XML, whatever its type says. ok is false if it says nothing about instances.
func readAnswer(body []byte) (s said, ok bool) {
	body = bytes.TrimLeft(bytes.TrimPrefix(bytes.TrimSpace(body), []byte("\xEF\xBB\xBF")), " \t\r\n")
	if len(body) == 0 {
		return s, false
	}
	var sets []jsonSet
	switch body[0] {
	case '[':
		if json.Unmarshal(body, &sets) != nil {
			return s, false
		}
	case '{':
		sets = make([]jsonSet, 1)
		if json.Unmarshal(body, &sets[0]) != nil {
			return s, false
		}
	case '<':
		var model xmlSet
		if xml.Unmarshal(body, &model) != nil {
			return s, false
		}
		sets = []jsonSet{model.set(maxNested)}
	}
	for _, set := range sets {
		for tag, list := range map[dict.Tag]*[]saying{
			dict.ReferencedSOPSequence: &s.delivered, dict.FailedSOPSequence: &s.failed,
			dict.OtherFailuresSequence: &s.others,
		} {
			e, there := set.get(tag)
			ok = ok || there
			for _, item := range e.items() {
				*list = append(*list, item.saying())
			}
		}
	}
	return s, ok
}

// jsonSet is a data set of the DICOM JSON model (PS3.18 F.2) as far as an answer needs it. It is read apart from other
// JSON because servers write reasons in their own ways here.
type jsonSet map[string]jsonElement

type jsonElement struct {
	Value []json.RawMessage `json:"Value"`
}

// UnmarshalJSON takes an element, and anything else for one without a value.
func (e *jsonElement) UnmarshalJSON(b []byte) error {
	type plain jsonElement
	if json.Unmarshal(b, (*plain)(e)) != nil {
		e.Value = nil
	}
	return nil
}

// get finds an element by its tag, or by its keyword.
func (s jsonSet) get(tag dict.Tag) (jsonElement, bool) {
	for _, key := range []string{name(tag), strings.ToLower(name(tag)), tag.Keyword()} {
		if e, ok := s[key]; ok {
			return e, true
		}
	}
	return jsonElement{}, false
}

func (e jsonElement) items() []jsonSet {
	var list []jsonSet
	for _, raw := range e.Value {
		var item jsonSet
		if json.Unmarshal(raw, &item) == nil && item != nil {
			list = append(list, item)
		}
	}
	return list
}

// text is the first value as text, of strings and numbers.
func (s jsonSet) text(tag dict.Tag) string {
	e, _ := s.get(tag)
	if len(e.Value) == 0 {
		return ""
	}
	var text string
	if json.Unmarshal(e.Value[0], &text) != nil {
		text = string(e.Value[0])
	}
	return strings.Trim(text, " \x00")
}

func (s jsonSet) saying() saying {
	one := saying{uid: s.text(dict.ReferencedSOPInstanceUID), text: printable([]byte(s.text(dict.ErrorComment)), 300)}
	for _, tag := range []dict.Tag{dict.FailureReason, dict.WarningReason} {
		e, _ := s.get(tag)
		if len(e.Value) > 0 {
			one.reason = reasonOf(e.Value[0])
			break
		}
	}
	return one
}

// reasonOf reads a reason: a number, or text of it in hexadecimal (four digits, or after 0x) or decimal.
func reasonOf(raw json.RawMessage) uint16 {
	var text string
	base := 10
	if json.Unmarshal(raw, &text) != nil {
		text = string(raw)
	} else if text = strings.TrimSpace(text); len(text) == 4 {
		base = 16
	} else if rest, ok := strings.CutPrefix(strings.ToLower(text), "0x"); ok {
		text, base = rest, 16
	}
	n, err := strconv.ParseUint(text, base, 16)
	if err != nil {
		return 0
	}
	return uint16(n)
}

// xmlSet is a data set of the Native DICOM Model (PS3.19 A.1), which servers write that don't heed Accept.
type xmlSet struct {
	Attributes []struct {
		Tag    string   `xml:"tag,attr"`
		Values []string `xml:"Value"`
		Items  []xmlSet `xml:"Item"`
	} `xml:"DicomAttribute"`
}

// maxNested is how deep items are looked at: those of the three sequences, and what they hold.
const maxNested = 3

// set turns it into the other model.
func (m xmlSet) set(depth int) jsonSet {
	s := jsonSet{}
	if depth == 0 {
		return s
	}
	for _, a := range m.Attributes {
		var e jsonElement
		for _, item := range a.Items {
			raw, err := json.Marshal(item.set(depth - 1))
			if err == nil {
				e.Value = append(e.Value, raw)
			}
		}
		for _, value := range a.Values {
			// A reason is a decimal number in XML; a string of four digits would be read as hexadecimal.
			raw, err := json.Marshal(value)
			if n, notNumber := strconv.ParseUint(strings.TrimSpace(value), 10, 16); notNumber == nil {
				raw, err = json.Marshal(n)
			}
			if err == nil {
				e.Value = append(e.Value, raw)
			}
		}
		s[strings.ToUpper(a.Tag)] = e
	}
	return s
}

// MarshalJSON writes what UnmarshalJSON reads.
func (e jsonElement) MarshalJSON() ([]byte, error) {
	return json.Marshal(map[string][]json.RawMessage{"Value": e.Value})
}

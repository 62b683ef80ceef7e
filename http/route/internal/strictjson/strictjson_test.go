// SPDX-License-Identifier: AGPL-3.0-or-later

package strictjson

import (
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/stretchr/testify/require"
)

func TestStrictJSON(t *testing.T) {
	const many = "too many values"
	for body, want := range map[string]string{
		strings.Repeat("[", maxDepth+1) + strings.Repeat("]", maxDepth+1): many,
		`{"a":[1,2,3]}`:                       "",
		`{"a":[1,2,3,4]}`:                     many,
		`{"a":"[{,,,,,,"}`:                    "",
		`{"a":"\"[{,,,,"}`:                    "",
		`{"a":"\\",[{,,,,}`:                   many,
		`[[[[[[[[`:                            many,
		`{"a":{}}`:                            many, // an object weighs four values
		`{"":0}`:                              "",
		strings.Repeat("[]", 3):               "",
		`"` + strings.Repeat("[", 1000) + `"`: "",

		`{"a":1,"a":2}`:         "more than once",
		`{"a":1,"b":"a"}`:       "",
		`{"a":"b","b":"a"}`:     "",
		`{"a":1,"\u0061":2}`:    "more than once",
		`{"a":["a","a"],"b":1}`: "",
		`[{"a":[],"a":1}]`:      "more than once",
		`{"":1,"":1}`:           "more than once",
		`{"a":1,"A":2}`:         "", // another property, which nobody takes

		`"ä𝄞"`:             "",
		"\"\xff\"":         "not valid Unicode",
		"\"\xed\xa0\x80\"": "not valid Unicode",
		"\"\xc0\xaf\"":     "not valid Unicode",
		"{\"\xff\":1}":     "not valid Unicode",
		`"\ud800"`:         "not valid Unicode",
		`"\uDFFFx"`:        "not valid Unicode",
		`"\ud800\ud800"`:   "not valid Unicode",
		`"\ud800x\udc00"`:  "not valid Unicode",
		`"\ud834\udd1e"`:   "",
		`"\\ud800"`:        "",
		`"\ufffd"`:         "",
		`{"\udc00":1}`:     "not valid Unicode",

		`{"a":null}`:      "is null",
		`[1, null]`:       "is null",
		`[{"b":null}]`:    "is null",
		` null`:           "is null",
		`{"null":"null"}`: "",
		`{"a":nul,"b":1}`: "", // no JSON

		// what is no JSON passes, for the decoder to say so
		`]]}}`: "", `"\u12"`: "", `"\uzzzz"`: "", `{,,}`: "", `"`: "", `"\`: "", "": "",
	} {
		for _, r := range []io.Reader{strings.NewReader(body), iotest.OneByteReader(strings.NewReader(body))} {
			_, err := io.ReadAll(New(io.NopCloser(r), 7))
			if want == "" {
				require.NoError(t, err, body)
			} else {
				require.ErrorContains(t, err, want, body)
			}
		}
	}
}

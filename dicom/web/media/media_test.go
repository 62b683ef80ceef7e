// SPDX-License-Identifier: AGPL-3.0-or-later

package media

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestParse(t *testing.T) {
	const mr = "multipart/related"
	for _, c := range []struct {
		header string
		want   Type
	}{
		{"application/dicom", Type{Name: "application/dicom"}},
		{" Application/DICOM+json ;charset=UTF-8", Type{Name: "application/dicom+json", Params: []Param{{"charset", "UTF-8"}}}},
		{`multipart/related; type="application/dicom"; boundary=a-b`, Type{Name: mr, Params: []Param{{"type", "application/dicom"}, {"boundary", "a-b"}}}},
		{`Multipart/Related;Boundary="a b";TYPE=application/dicom`, Type{Name: mr, Params: []Param{{"boundary", "a b"}, {"type", "application/dicom"}}}},
		{ // Orthanc: the transfer syntax between the quotes
			`multipart/related; boundary=x; type="application/octet-stream; transfer-syntax=1.2.840.10008.1.2.4.70"`,
			Type{Name: mr, Params: []Param{{"boundary", "x"}, {"type", "application/octet-stream"}, {"transfer-syntax", "1.2.840.10008.1.2.4.70"}}},
		},
		{ // what is outside counts before what is between the quotes
			`multipart/related; type="image/jls; transfer-syntax=1.2"; transfer-syntax=1.3`,
			Type{Name: mr, Params: []Param{{"type", "image/jls"}, {"transfer-syntax", "1.3"}}},
		},
		{ // ADIT: twice
			"multipart/related; type=application/dicom; boundary=1; type=application/dicom; boundary=2",
			Type{Name: mr, Params: []Param{{"type", "application/dicom"}, {"boundary", "1"}}},
		},
		{"multipart/related; boundary==_a,b?(c)=; type=*/*", Type{Name: mr, Params: []Param{{"boundary", "=_a,b?(c)="}, {"type", "*/*"}}}},
		{`multipart/related; boundary="a\"b\\c"`, Type{Name: mr, Params: []Param{{"boundary", `a"b\c`}}}},
		{`multipart/related; boundary="a"junk; type=x/y`, Type{Name: mr, Params: []Param{{"boundary", "a"}, {"type", "x/y"}}}},
		{`multipart/related; boundary="never closed`, Type{Name: mr, Params: []Param{{"boundary", "never closed"}}}},
		{"multipart/related;;; =x; flag; boundary = a ;", Type{Name: mr, Params: []Param{{"flag", ""}, {"boundary", "a"}}}},
	} {
		got, err := Parse(c.header)
		require.NoError(t, err, c.header)
		c.want.Q = Certain
		require.Equal(t, c.want, got, c.header)
	}
	for _, none := range []string{"", ";", "text", "/", "text/", "/plain", "; boundary=a", "a b/c", `"text/plain"`} {
		_, err := Parse(none)
		require.ErrorIs(t, err, ErrNoType, none)
	}
}

func TestParseList(t *testing.T) {
	list := ParseList(
		`multipart/related; type=application/octet-stream; transfer-syntax=*, image/jpeg;q=.5`,
		`text/html, *; q=.2, junk, application/dicom+json; q=2, a/b;q=0, c/d; q=high, e/f; q="0.75"; level=1`,
	)
	var names []string
	var weights []int
	for _, m := range list {
		names, weights = append(names, m.Name), append(weights, m.Q)
	}
	require.Equal(t, []string{
		"multipart/related", "image/jpeg", "text/html", "*/*", "application/dicom+json", "a/b", "c/d", "e/f",
	}, names)
	require.Equal(t, []int{1000, 500, 1000, 200, 1000, 0, 1000, 750}, weights)
	require.Equal(t, "*", list[0].Param("transfer-syntax"))
	require.Equal(t, "application/octet-stream", list[0].Param("type"))
	require.Equal(t, "1", list[7].Param("level"))
	ordered := ByWeight(list)
	require.Len(t, ordered, 7)
	require.Equal(t, "e/f", ordered[4].Name)
	require.Equal(t, "*/*", ordered[6].Name)
	require.Len(t, list, 8)
	require.Empty(t, ParseList("", ",,,"))
}

func TestIncludes(t *testing.T) {
	for of, want := range map[string]bool{
		"*/*": true, "*": true, "image/*": true, "image/jpeg": true, "image/jls": false, "text/*": false,
	} {
		require.Equal(t, want, ParseList(of)[0].Includes("image/jpeg"), of)
	}
}

func TestBounds(t *testing.T) {
	m, err := Parse("a/b" + strings.Repeat("; x=y", 100) + "; z=" + strings.Repeat("1", maxHeader))
	require.NoError(t, err)
	require.Len(t, m.Params, 2)
	require.Less(t, len(m.Param("z")), maxHeader)
	require.Len(t, ParseList(strings.Repeat("a/b,", 2*maxTypes)), maxTypes)
}

func TestString(t *testing.T) {
	for _, text := range []string{
		`multipart/related; type="application/dicom"; transfer-syntax=*`, "application/dicom+json",
		`multipart/related; type="application/dicom"; boundary=0123-a`, `a/b; c="d e/f\"\\"; q=0.25`, `a/b; c=""; q=0`,
	} {
		require.Equal(t, text, ParseList(text)[0].String())
	}
}

func FuzzMedia(f *testing.F) {
	f.Add(`multipart/related; boundary=x; type="application/octet-stream; transfer-syntax=1.2"; q=0.5, */*`)
	f.Add(`a/b; c="\`)
	f.Add(`;=;",`)
	f.Fuzz(func(t *testing.T, header string) {
		for _, m := range ParseList(header) {
			require.LessOrEqual(t, len(m.Params), maxParams)
			require.True(t, 0 <= m.Q && m.Q <= Certain)
		}
		m, err := Parse(header)
		if err != nil {
			return
		}
		again, err := Parse(m.String())
		require.NoError(t, err, m.String())
		require.Equal(t, m.Name, again.Name)
	})
}

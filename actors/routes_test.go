// SPDX-License-Identifier: AGPL-3.0-or-later

package actors

import (
	"bytes"
	"io"
	"testing"
	"testing/iotest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/adit-go/adit/dicom/dimse"
	"github.com/adit-go/adit/dicom/phantom"
	"github.com/adit-go/adit/engine/receive"
)

// TestRoutes: hints are newer than what the database said before them, and a route leads only to a server's own moves.
func TestRoutes(t *testing.T) {
	r := newRoutes()
	one, two := route{"m1:1", 1, 10, "1.1"}, route{"m2:1", 2, 20, "1.2"}
	require.True(t, r.empty())
	r.replace([]route{one}, time.Now())
	r.put(two)
	require.Equal(t, []route{one}, r.byMessage(1, []int64{9, 10}))
	require.Empty(t, r.byMessage(1, []int64{20}), "another server's")
	require.Equal(t, []route{two}, r.byStudy("1.2", []int64{20}))
	require.Empty(t, r.byStudy("", []int64{20}))
	require.True(t, r.moving([]int64{20}))
	require.False(t, r.moving([]int64{30}))

	began := time.Now() // the database is read, and knows neither the new one nor the end of the old one
	r.forget(1)
	r.replace([]route{one}, began)
	require.Empty(t, r.byMessage(1, []int64{10}), "it was told to be over")
	require.Equal(t, []route{two}, r.byMessage(2, []int64{20}), "it was told to have begun")

	r.replace(nil, time.Now().Add(2*peersTime)) // much later it counts
	require.True(t, r.empty())

	r.put(one)
	r.drop(route{"m3:1", 1, 10, "1.1"})
	require.Len(t, r.byMessage(1, []int64{10}), 1, "the message ID has been given again")
	r.drop(one)
	require.Empty(t, r.byMessage(1, []int64{10}))
}

// TestRewound: an instance whose header was read goes on as it came, byte for byte, whatever parts it came in.
func TestRewound(t *testing.T) {
	in := phantom.New(9, phantom.StudySpec{
		Patient: phantom.Patient{ID: "PHANTOM-001", Name: "Phantom^Alpha"},
		Series:  []phantom.SeriesSpec{{Kind: phantom.CT, Rows: 64, Columns: 64}},
	}).Instances()[0]
	f := in.Open()
	whole, err := io.ReadAll(f)
	require.NoError(t, err)
	require.NoError(t, f.Close())
	for name, reader := range map[string]func(io.Reader) io.Reader{
		"at once": func(r io.Reader) io.Reader { return r }, "byte by byte": iotest.OneByteReader, "in halves": iotest.HalfReader,
		"by the writer": func(r io.Reader) io.Reader { return r.(*bytes.Reader) },
	} {
		t.Run(name, func(t *testing.T) {
			raw := &rewound{Reader: reader(bytes.NewReader(whole))}
			a := arrived{Arrival: receive.NewArrival(&dimse.Incoming{
				SOPInstanceUID: in.SOPInstanceUID, TransferSyntaxUID: in.TransferSyntaxUID, Data: raw,
			}, func() {}), raw: raw}
			defer a.Close()
			study, series, ok := a.UIDs()
			require.True(t, ok)
			require.NotEmpty(t, study)
			require.NotEmpty(t, series)
			again, err := io.ReadAll(raw.again())
			require.NoError(t, err)
			require.True(t, bytes.Equal(whole, again))
		})
	}
}

// TestGrants: a token is good once, for its instance, and for a while.
func TestGrants(t *testing.T) {
	p := &peers{grants: map[string]grant{
		"a": {"1.1", time.Now().Add(grantTime)}, "b": {"1.2", time.Now().Add(grantTime)},
		"c": {"1.3", time.Now().Add(-time.Second)},
	}}
	require.True(t, p.redeem("a", "1.1"))
	require.False(t, p.redeem("a", "1.1"), "used")
	require.False(t, p.redeem("b", "1.1"), "another instance's")
	require.False(t, p.redeem("b", "1.2"), "was tried with another instance")
	require.False(t, p.redeem("c", "1.3"), "too late")
	require.False(t, p.redeem("", ""))
	require.Empty(t, p.grants)
}

// SPDX-License-Identifier: AGPL-3.0-or-later

package testpeer

import (
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/adit-go/adit/dicom/phantom"
)

// complaints counts the failures that a test would have.
type complaints struct {
	testing.TB
	n int
}

func (c *complaints) Helper() {}

func (c *complaints) Errorf(string, ...any) { c.n++ }

func TestPatients(t *testing.T) {
	for _, s := range append(phantom.DemoStudies(), phantom.Hospital(time.Now())...) {
		require.NotEmpty(t, Patient("x "+s.Spec.Patient.ID+" x"), s.Spec.Patient.ID)
		require.NotEmpty(t, Patient(s.Spec.Patient.Name), s.Spec.Patient.Name)
		require.NotEmpty(t, Patient(s.Spec.AccessionNumber), s.Spec.AccessionNumber)
	}
	for _, text := range []string{"", "study 1.2.3 of task 4711 from PHANTOM", "phantom: 3 series"} {
		require.Empty(t, Patient(text))
	}
}

func TestLinkage(t *testing.T) {
	for text, want := range map[string]string{
		"the patient of study 2.25.4711 has the pseudonym P-1 in this project":    "P-1",
		"the patient of study 1.2.3 has the pseudonym 1PDA17HWFCH0US, not P-0002": "1PDA17HWFCH0US",
		`msg=x pseudonym="P-0001" study=1.2.3.4.5`:                                "P-0001",
		"folder/P-7/20240101: no room (series 1.2.3)":                             "P-7",
		"pseudonym P-1 at 127.0.0.1:104":                                          "",
		"pseudonym P-1 of class 1.2.840.10008.5.1.4.1.1.2":                        "",
		"study 1.2.3 of HTTP-1 at 20240229101500, ABCDEFGHIJKLMN":                 "",
		"study 1.2.3 of AP-1 and P-X, P-12Q":                                      "",
	} {
		require.Equal(t, want, Linkage(text), text)
	}
	require.True(t, Stands("to P-1.", "P-1"))
	require.False(t, Stands("to P-12 and XP-1 and P-1-2", "P-1"))
}

func TestLog(t *testing.T) {
	c := &complaints{TB: t}
	var out strings.Builder
	log := Log(c, &out).With("node", "here")
	log.Info("study 1.2.3 came", "task", 4711)
	require.Zero(t, c.n)
	log.Debug("a value", "patient", "幻影^甲")
	require.Equal(t, 1, c.n, "of any level")
	log.WithGroup("of").Info("PHANTOM-001 came")
	log.Warn("it failed", "error", errors.New("no place for Phantom^Alpha"))
	require.Equal(t, 3, c.n, "text, attributes, errors")
	require.Equal(t, 4, strings.Count(out.String(), "\n"))
}

func TestWithoutPatients(t *testing.T) {
	c := &complaints{TB: t}
	var out strings.Builder
	w := WithoutPatients(c, "log", &out)
	for _, part := range []string{"patient PHAN", "TOM-001 came\nand ", "nobody else\n"} {
		_, err := io.WriteString(w, part)
		require.NoError(t, err)
	}
	require.Equal(t, 1, c.n)
	require.Equal(t, "patient PHANTOM-001 came\nand nobody else\n", out.String())
}

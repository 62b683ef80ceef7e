// SPDX-License-Identifier: AGPL-3.0-or-later

package cli

import (
	"encoding/csv"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/adit-go/adit/cli/command"
	"github.com/adit-go/adit/dicom/dict"
	"github.com/adit-go/adit/dicom/stream"
)

// TestDeidTellsWhy: of what is held back or refused, --explain and the report tell what was found, where, and by which
// rules, and never the value; and both tell of bytes behind the image in its pixel data.
func TestDeidTellsWhy(t *testing.T) {
	item := func(tag dict.Tag, text string) *stream.DataSet {
		var i stream.DataSet
		i.Set(tag, text)
		return &i
	}
	for name, c := range map[string]struct {
		change  func(ds *stream.DataSet)
		code    int
		explain []string // what --explain tells
		report  []string // and the report
	}{
		"a name in text": {
			func(ds *stream.DataSet) {
				ds.Set(dict.PulseSequenceName, "by Wisniewska")
				ds.Set(dict.OperatorsName, "Wisniewska^Olga")
			}, command.ExitWarning,
			[]string{"(0018,9005)  PulseSequenceName  a name", "(0008,1070) OperatorsName", "a name that must not stay may occur nowhere", "keep: "},
			[]string{"(0018,9005) still holds a name, that of (0008,1070)", "must not stay"},
		},
		"a number in an item": {
			func(ds *stream.DataSet) {
				ds.Set(dict.AccessionNumber, "ACC-7788123")
				ds.SetSequence(dict.SharedFunctionalGroupsSequence, item(dict.PulseSequenceName, "ACC-7788123"))
			}, command.ExitWarning,
			[]string{"(5200,9229)[1] (0018,9005)", "an ID or a number", "(0008,0050) AccessionNumber"},
			[]string{"(5200,9229)[1] (0018,9005) still holds an ID"},
		},
		"a date in text": {
			func(ds *stream.DataSet) {
				ds.Set(dict.PulseSequenceName, "geb. 14.02.1963")
				ds.Set(dict.PatientBirthDate, "19630214")
			}, command.ExitWarning,
			[]string{"a date", "(0010,0030) PatientBirthDate"},
			[]string{"still holds a date, that of (0010,0030)"},
		},
		"burned in": {
			func(ds *stream.DataSet) { ds.Set(dict.BurnedInAnnotation, "Wisniewska") }, command.ExitWarning,
			[]string{"(0028,0301) BurnedInAnnotation is present and is not NO", "rule of the profile: burned-in"},
			[]string{"BurnedInAnnotation is present"},
		},
		"captured": {
			func(ds *stream.DataSet) { ds.Set(dict.ImageType, "DERIVED", "SECONDARY", "SCREEN SAVE") },
			command.ExitWarning,
			[]string{"(0008,0008) ImageType or (0008,0064) ConversionType says that it was captured"},
			[]string{"captured from a screen"},
		},
		"a class that shows text": {
			func(ds *stream.DataSet) { ds.Set(dict.SOPClassUID, dict.UltrasoundImageStorage) }, command.ExitWarning,
			[]string{"images of its SOP class often show text"},
			[]string{"often show text"},
		},
		"who can be seen": {
			func(ds *stream.DataSet) { ds.Set(dict.RecognizableVisualFeatures, "YES") }, command.ExitWarning,
			[]string{"RecognizableVisualFeatures (0028,0302) is present and is not NO"},
			[]string{"is present and is not NO"},
		},
		"bytes behind the image": {
			func(ds *stream.DataSet) {
				ds.SetInt(dict.Rows, 4)
				ds.SetInt(dict.Columns, 5)
				ds.SetBytes(dict.PixelData, dict.OW, append(make([]byte, 40), "Wisniewska^Olga!"...))
			}, command.ExitSuccess,
			[]string{"pixel data stays, and so do the bytes behind its last frame", "16 bytes stand behind the last frame"},
			[]string{",16,"},
		},
		"an image alone": {func(ds *stream.DataSet) {
			ds.SetInt(dict.Rows, 4)
			ds.SetInt(dict.Columns, 5)
			ds.SetBytes(dict.PixelData, dict.OW, make([]byte, 40))
		}, command.ExitSuccess, []string{"pixel data stays  "}, []string{",0,"}},
		"a bit for each pixel": {func(ds *stream.DataSet) {
			ds.SetInt(dict.Rows, 5)
			ds.SetInt(dict.Columns, 5)
			ds.SetInt(dict.BitsAllocated, 1)
			ds.Set(dict.NumberOfFrames, "3")
			ds.SetBytes(dict.PixelData, dict.OW, make([]byte, 12))
		}, command.ExitSuccess, []string{"2 bytes stand behind"}, []string{",2,"}},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			file, report := filepath.Join(dir, "in.dcm"), filepath.Join(dir, "report.csv")
			anImage(t, file, 70, "HOSPITAL-4711", c.change)
			code, stdout, stderr := adit(t, "deid", "--explain", file)
			require.Equal(t, c.code, code, stderr)
			for _, part := range c.explain {
				require.Contains(t, stdout+stderr, part)
			}
			if _, found, ok := strings.Cut(stdout, "holds the file back"); ok {
				requireNoValue(t, found)
			}
			requireNoValue(t, stderr)
			code, _, stderr = adit(
				t, "deid", "--pseudonym", "P-1", "--key-file", keyFile(t),
				"--report", report, file, filepath.Join(dir, "out"),
			)
			require.Equal(t, c.code, code, stderr)
			requireNoValue(t, stderr)
			text, err := os.ReadFile(report)
			require.NoError(t, err)
			requireNoValue(t, string(text))
			rows, err := csv.NewReader(strings.NewReader(string(text))).ReadAll()
			require.NoError(t, err)
			told := strings.Join(rows[1][len(rows[1])-3:], ",")
			for _, part := range c.report {
				require.Contains(t, told, part)
			}
		})
	}
}

func requireNoValue(t *testing.T, text string) {
	t.Helper()
	for _, value := range []string{"Wisniewska", "ACC-77", "14.02.1963", "19630214", "Meierschmidt", "SCREEN SAVE"} {
		require.NotContains(t, text, value)
	}
}

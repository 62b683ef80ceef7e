// SPDX-License-Identifier: AGPL-3.0-or-later

package cli

import (
	"context"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"

	"github.com/adit-go/adit/cli/command"
	"github.com/adit-go/adit/client"
)

type searchCmd struct {
	command.Remote
	Source      string `complete:"server" required:"" placeholder:"NAME" help:"Name of the server to search."`
	PatientID   string `name:"patient-id" placeholder:"ID" help:"Patient ID, exact."`
	PatientName string `placeholder:"NAME" help:"\"Last, First\" or in DICOM form, with * and ? as wildcards."`
	StudyDate   string `placeholder:"FROM-TO" help:"A day or a range, both ends included: 20240131, 20240101-20240131, 20240101-, -20240131; or days as 2024-01-31."`
	Modality    string `placeholder:"M" help:"Modality that the study must contain; of several with commas, one is enough."`
	Accession   string `placeholder:"A" help:"Accession number, exact."`
	Limit       int    `placeholder:"N" help:"Maximum number of results. Default: the limit in the server's settings."`
}

// Run searches.
func (c *searchCmd) Run(ctx context.Context, io command.Streams) error {
	from, to, err := parseDates(c.StudyDate)
	if err != nil {
		return err
	}
	cl, err := c.Client()
	if err != nil {
		return err
	}
	found, err := cl.Servers.Search(ctx, c.Source, client.StudyQuery{
		PatientID: c.PatientID, PatientName: c.PatientName, StudyDateFrom: from,
		StudyDateTo: to, Modality: c.Modality, AccessionNumber: c.Accession,
		Limit: c.Limit,
	})
	if err != nil {
		return err
	}
	studies := found.Items
	if found.Truncated {
		defer fmt.Fprintf(io.Err,
			"There are more studies than the %d shown. Narrow the search, or raise --limit (%d at most); "+
				"without it the result limit of the server's settings holds.\n", len(studies), maxSearch,
		)
	}
	slices.SortStableFunc(studies, func(a, b client.Study) int { // newest first
		return strings.Compare(b.StudyDate+b.StudyTime, a.StudyDate+a.StudyTime)
	})
	if c.JSON {
		return command.PrintJSON(io.Out, append([]client.Study{}, studies...))
	}
	if len(studies) == 0 {
		fmt.Fprintln(io.Out, "No study was found.")
		return nil
	}
	w := tabwriter.NewWriter(io.Out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "DATE\tMODALITIES\tIMAGES\tPATIENT ID\tPATIENT NAME\tDESCRIPTION\tSTUDY INSTANCE UID")
	for _, s := range studies {
		fmt.Fprintf(
			w, "%s\t%s\t%s\t%s\t%s\t%s\t%s\n", command.Printable(s.StudyDate),
			command.Printable(strings.Join(s.ModalitiesInStudy, ",")), number(s.Instances),
			command.Printable(s.PatientID), command.Printable(s.PatientName),
			command.Printable(s.StudyDescription), command.Printable(s.StudyInstanceUID),
		)
	}
	return w.Flush()
}

// maxSearch is the most results that may be asked for.
const maxSearch = 1000

func number(n *int) string {
	if n == nil {
		return "?"
	}
	return strconv.Itoa(*n)
}

var dateRange = regexp.MustCompile(`^(\d{8}|\d{4}-\d\d-\d\d)?(-)?(\d{8}|\d{4}-\d\d-\d\d)?$`)

// parseDates reads a day or a range, into the form of DICOM.
func parseDates(text string) (from, to string, err error) {
	if text == "" {
		return "", "", nil
	}
	m := dateRange.FindStringSubmatch(text)
	if m == nil || m[1] == "" && m[3] == "" {
		return "", "", command.Usage("--study-date: give a day or a range such as 20240101-20240131")
	}
	from, to = strings.ReplaceAll(m[1], "-", ""), strings.ReplaceAll(m[3], "-", "")
	if m[2] == "" {
		if to != "" {
			return "", "", command.Usage("--study-date: give a day or a range such as 20240101-20240131")
		}
		to = from
	}
	return from, to, nil
}

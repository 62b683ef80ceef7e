// SPDX-License-Identifier: AGPL-3.0-or-later

// Package search is the command adit search: what servers have.
package search

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"

	"github.com/adit-go/adit/cli/command"
	"github.com/adit-go/adit/client"
)

// Cmd is the command adit search.
type Cmd struct {
	command.Remote
	Source      string `complete:"server" required:"" placeholder:"NAME" help:"Name of the server to search."`
	PatientID   string `name:"patient-id" placeholder:"ID" help:"Patient ID, exact."`
	PatientName string `placeholder:"NAME" help:"\"Last, First\" or in DICOM form, with * and ? as wildcards."`
	BirthDate   string `api:"patient_birth_date_from patient_birth_date_to" placeholder:"FROM-TO" help:"Patient's birth date: a day or a range, as for --study-date."`
	Study       string `api:"study_instance_uid" placeholder:"UID" help:"Study Instance UID, exact."`
	StudyDate   string `placeholder:"FROM-TO" help:"A day or a range, both ends included: 20240131, 20240101-20240131, 20240101-, -20240131; or days as 2024-01-31."`
	StudyTime   string `placeholder:"FROM-TO" help:"Time of day on each of the days, both ends included: 0800-1630, 0800-, -1630."`
	Description string `api:"study_description" placeholder:"TEXT" help:"Study description, in any case of letters, with * and ? as wildcards."`
	Modality    string `placeholder:"M" help:"Modality that the study must contain; of several with commas, one is enough."`
	Accession   string `api:"accession_number" placeholder:"A" help:"Accession number, exact."`
	SeriesOf    string `api:"study_instance_uid" placeholder:"UID" xor:"level" help:"Show the series of this study instead."`
	InstancesOf string `api:"series_instance_uid" placeholder:"UID" xor:"level" help:"Show the instances of this series instead; --study names its study."`
	Limit       int    `placeholder:"N" help:"Maximum number of results. Default: the limit in the server's settings; 1000 series, 10000 instances."`
}

// Run searches.
func (c *Cmd) Run(ctx context.Context, io command.Streams) error {
	q, err := c.query()
	if err != nil {
		return err
	}
	cl, err := c.Client()
	if err != nil {
		return err
	}
	switch {
	case c.SeriesOf != "":
		return c.series(io, cl.Servers.Series(ctx, c.Source, client.SeriesQuery{
			StudyInstanceUID: c.SeriesOf, PatientID: c.PatientID, Limit: c.Limit,
		}))
	case c.InstancesOf != "":
		return c.instances(io, cl.Servers.Instances(ctx, c.Source, client.InstanceQuery{
			StudyInstanceUID: c.Study, SeriesInstanceUID: c.InstancesOf, PatientID: c.PatientID, Limit: c.Limit,
		}))
	}
	found, err := cl.Servers.Search(ctx, c.Source, q)
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

// query is what studies are searched by.
func (c *Cmd) query() (client.StudyQuery, error) {
	q := client.StudyQuery{
		PatientID: c.PatientID, PatientName: c.PatientName, StudyInstanceUID: c.Study, StudyDescription: c.Description,
		Modality: c.Modality, AccessionNumber: c.Accession, Limit: c.Limit,
	}
	below := c.SeriesOf + c.InstancesOf
	others := q
	others.PatientID, others.StudyInstanceUID, others.Limit = "", "", 0
	switch {
	case below != "" && (others != client.StudyQuery{} || c.BirthDate+c.StudyDate+c.StudyTime != ""):
		return q, command.Usage(
			"--series-of and --instances-of name what is wanted; only --patient-id and --limit go with them",
		)
	case c.InstancesOf != "" && c.Study == "":
		return q, command.Usage("--instances-of: name the study of the series as well (--study)")
	case c.SeriesOf != "" && c.Study != "":
		return q, command.Usage("--series-of names the study already; leave --study out")
	}
	var err error
	if q.StudyDateFrom, q.StudyDateTo, err = parseDates("--study-date", c.StudyDate); err != nil {
		return q, err
	}
	if q.PatientBirthDateFrom, q.PatientBirthDateTo, err = parseDates("--birth-date", c.BirthDate); err != nil {
		return q, err
	}
	q.StudyTimeFrom, q.StudyTimeTo, err = parseTimes(c.StudyTime)
	return q, err
}

func (c *Cmd) series(io command.Streams, found iter.Seq2[client.FoundSeries, error]) error {
	list, err := collected(io.Err, found)
	if err != nil {
		return err
	}
	slices.SortStableFunc(list, func(a, b client.FoundSeries) int { return byNumber(a.SeriesNumber, b.SeriesNumber) })
	if c.JSON {
		return command.PrintJSON(io.Out, list)
	}
	if len(list) == 0 {
		fmt.Fprintln(io.Out, "No series was found.")
		return nil
	}
	w := tabwriter.NewWriter(io.Out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "NUMBER\tDATE\tMODALITY\tIMAGES\tBODY PART\tDESCRIPTION\tSERIES INSTANCE UID")
	for _, s := range list {
		fmt.Fprintf(
			w, "%s\t%s\t%s\t%s\t%s\t%s\t%s\n", number(s.SeriesNumber), command.Printable(s.SeriesDate),
			command.Printable(s.Modality), number(s.Instances), command.Printable(s.BodyPartExamined),
			command.Printable(s.SeriesDescription), command.Printable(s.SeriesInstanceUID),
		)
	}
	return w.Flush()
}

func (c *Cmd) instances(io command.Streams, found iter.Seq2[client.FoundInstance, error]) error {
	list, err := collected(io.Err, found)
	if err != nil {
		return err
	}
	slices.SortStableFunc(list, func(a, b client.FoundInstance) int {
		return byNumber(a.InstanceNumber, b.InstanceNumber)
	})
	if c.JSON {
		return command.PrintJSON(io.Out, list)
	}
	if len(list) == 0 {
		fmt.Fprintln(io.Out, "No instance was found.")
		return nil
	}
	w := tabwriter.NewWriter(io.Out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "NUMBER\tCOLUMNS\tROWS\tFRAMES\tSOP CLASS UID\tSOP INSTANCE UID")
	for _, i := range list {
		fmt.Fprintf(
			w, "%s\t%s\t%s\t%s\t%s\t%s\n", number(i.InstanceNumber), number(i.Columns), number(i.Rows),
			number(i.Frames), command.Printable(i.SOPClassUID), command.Printable(i.SOPInstanceUID),
		)
	}
	return w.Flush()
}

// collected returns what a search yields, and says so if that is not all.
func collected[T any](w io.Writer, found iter.Seq2[T, error]) ([]T, error) {
	list := []T{}
	for item, err := range found {
		switch {
		case errors.Is(err, client.ErrTruncated):
			fmt.Fprintf(w, "There are more than the %d shown. Raise --limit.\n", len(list))
		case err != nil:
			return nil, err
		default:
			list = append(list, item)
		}
	}
	return list, nil
}

// byNumber puts what has no number last.
func byNumber(a, b *int) int {
	switch {
	case a != nil && b != nil:
		return cmp.Compare(*a, *b)
	case a == nil && b == nil:
		return 0
	case a == nil:
		return 1
	}
	return -1
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
func parseDates(flag, text string) (from, to string, err error) {
	if text == "" {
		return "", "", nil
	}
	m := dateRange.FindStringSubmatch(text)
	if m == nil || m[1] == "" && m[3] == "" || m[2] == "" && m[3] != "" {
		return "", "", command.Usage("%s: give a day or a range such as 20240101-20240131", flag)
	}
	from, to = strings.ReplaceAll(m[1], "-", ""), strings.ReplaceAll(m[3], "-", "")
	if m[2] == "" {
		to = from
	}
	return from, to, nil
}

var timeRange = regexp.MustCompile(`^(\d{2}:?\d{2})?-(\d{2}:?\d{2})?$`)

// parseTimes reads a range of times of day, into the form of DICOM.
func parseTimes(text string) (from, to string, err error) {
	if text == "" {
		return "", "", nil
	}
	m := timeRange.FindStringSubmatch(text)
	if m == nil || m[1]+m[2] == "" {
		return "", "", command.Usage("--study-time: give a range such as 0800-1630")
	}
	return strings.ReplaceAll(m[1], ":", ""), strings.ReplaceAll(m[2], ":", ""), nil
}

// SPDX-License-Identifier: AGPL-3.0-or-later

package client

import (
	"context"
	"errors"
	"io"
	"iter"
	"net/http"
	"strings"
)

// StudyQuery says which studies of a server are wanted. Empty fields match everything; at least one must be given.
type StudyQuery struct {
	PatientID            string `json:"patient_id,omitempty" example:"PHANTOM-001" doc:"Exact."`
	PatientName          string `json:"patient_name,omitempty" example:"Phantom, Alpha" doc:"\"Last, First\" or in DICOM form, with * and ? as wildcards."`
	PatientBirthDateFrom string `json:"patient_birth_date_from,omitempty" example:"1970-01-01" doc:"YYYYMMDD or YYYY-MM-DD, inclusive; the same as the other end for one date."`
	PatientBirthDateTo   string `json:"patient_birth_date_to,omitempty" example:"1970-12-31" doc:"YYYYMMDD or YYYY-MM-DD, inclusive."`
	StudyInstanceUID     string `json:"study_instance_uid,omitempty" example:"1.2.826.0.1.3680043.8.498.1" doc:"Exact."`
	StudyDateFrom        string `json:"study_date_from,omitempty" example:"2024-02-01" doc:"YYYYMMDD or YYYY-MM-DD, inclusive."`
	StudyDateTo          string `json:"study_date_to,omitempty" example:"2024-03-01" doc:"YYYYMMDD or YYYY-MM-DD, inclusive."`
	StudyTimeFrom        string `json:"study_time_from,omitempty" example:"0800" doc:"HHMM or HHMMSS, inclusive, on each of the days."`
	StudyTimeTo          string `json:"study_time_to,omitempty" example:"1630" doc:"HHMM or HHMMSS, inclusive: 1630 is up to 16:30:59."`
	StudyDescription     string `json:"study_description,omitempty" example:"CT head*" doc:"In any case of letters, with * and ? as wildcards."`
	Modality             string `json:"modality,omitempty" example:"CT,MR" doc:"One that is in the study; or several with commas, one of which is."`
	AccessionNumber      string `json:"accession_number,omitempty" example:"A-4711" doc:"Exact."`
	Limit                int    `json:"limit,omitempty" minimum:"1" maximum:"1000" example:"100" doc:"Most results; the server's result limit by default. truncated tells whether there were more."`
}

// Study is a study as its server describes it, in the forms of DICOM: dates YYYYMMDD, times HHMMSS, names with "^".
type Study struct {
	StudyInstanceUID  string   `json:"study_instance_uid" doc:"Study Instance UID (0020,000D)." example:"1.2.826.0.1.3680043.8.498.1"`
	PatientID         string   `json:"patient_id" doc:"Patient ID (0010,0020)." example:"PHANTOM-001"`
	PatientName       string   `json:"patient_name" doc:"Patient's Name (0010,0010), with ^ between its parts." example:"Phantom^One"`
	PatientBirthDate  string   `json:"patient_birth_date" doc:"Patient's Birth Date (0010,0030), as YYYYMMDD; may be empty." example:"19700101"`
	PatientSex        string   `json:"patient_sex" doc:"Patient's Sex (0010,0040): M, F or O; may be empty." example:"O"`
	StudyDate         string   `json:"study_date" doc:"Study Date (0008,0020), as YYYYMMDD; may be empty." example:"20261123"`
	StudyTime         string   `json:"study_time" doc:"Study Time (0008,0030), as HHMMSS; may be empty." example:"081530"`
	StudyDescription  string   `json:"study_description" doc:"Study Description (0008,1030); may be empty." example:"CT head"`
	AccessionNumber   string   `json:"accession_number" doc:"Accession Number (0008,0050); may be empty." example:"A0001"`
	ModalitiesInStudy []string `json:"modalities_in_study" doc:"Modalities in Study (0008,0061), each once." example:"CT"`
	Series            *int     `json:"series,omitempty" doc:"Number of series; absent if the server doesn't say." example:"3"`
	Instances         *int     `json:"instances,omitempty" doc:"Number of instances; absent if the server doesn't say." example:"240"`
}

// SeriesQuery says of which study of a server the series are wanted.
type SeriesQuery struct {
	StudyInstanceUID string `json:"study_instance_uid" example:"1.2.826.0.1.3680043.8.498.1" doc:"Of the study whose series are wanted."`
	PatientID        string `json:"patient_id,omitempty" example:"PHANTOM-001" doc:"Whose study it is. Needed for nothing; without it, a server that knows the Patient Root model alone is asked once more."`
	Limit            int    `json:"limit,omitempty" minimum:"1" maximum:"10000" example:"100" doc:"Most results; 10000 by default. truncated tells whether there were more."`
}

// FoundSeries is a series as its server describes it, in the forms of DICOM: dates YYYYMMDD, times HHMMSS.
type FoundSeries struct {
	SeriesInstanceUID string `json:"series_instance_uid" doc:"Series Instance UID (0020,000E)." example:"1.2.826.0.1.3680043.8.498.2"`
	Modality          string `json:"modality" doc:"Modality (0008,0060); may be empty." example:"CT"`
	SeriesNumber      *int   `json:"series_number,omitempty" doc:"Series Number (0020,0011); absent if the server doesn't say." example:"2"`
	SeriesDescription string `json:"series_description" doc:"Series Description (0008,103E); may be empty." example:"Thorax 1.0"`
	BodyPartExamined  string `json:"body_part_examined" doc:"Body Part Examined (0018,0015); may be empty." example:"CHEST"`
	SeriesDate        string `json:"series_date" doc:"Series Date (0008,0021), as YYYYMMDD; may be empty." example:"20261123"`
	SeriesTime        string `json:"series_time" doc:"Series Time (0008,0031), as HHMMSS; may be empty." example:"081530"`
	Instances         *int   `json:"instances,omitempty" doc:"Number of instances; absent if the server doesn't say." example:"240"`
}

// InstanceQuery says of which series of a server the instances are wanted.
type InstanceQuery struct {
	StudyInstanceUID  string `json:"study_instance_uid" example:"1.2.826.0.1.3680043.8.498.1" doc:"Of the study that the series belongs to."`
	SeriesInstanceUID string `json:"series_instance_uid" example:"1.2.826.0.1.3680043.8.498.2" doc:"Of the series whose instances are wanted."`
	PatientID         string `json:"patient_id,omitempty" example:"PHANTOM-001" doc:"As in a search for series."`
	Limit             int    `json:"limit,omitempty" minimum:"1" maximum:"10000" example:"1000" doc:"Most results; 10000 by default. truncated tells whether there were more."`
}

// FoundInstance is an instance as its server describes it.
type FoundInstance struct {
	SOPInstanceUID string `json:"sop_instance_uid" doc:"SOP Instance UID (0008,0018)." example:"1.2.826.0.1.3680043.8.498.3"`
	SOPClassUID    string `json:"sop_class_uid" doc:"SOP Class UID (0008,0016); may be empty." example:"1.2.840.10008.5.1.4.1.1.2"`
	InstanceNumber *int   `json:"instance_number,omitempty" doc:"Instance Number (0020,0013); absent if the server doesn't say." example:"17"`
	Rows           *int   `json:"rows,omitempty" doc:"Rows (0028,0010); absent if the server doesn't say." example:"512"`
	Columns        *int   `json:"columns,omitempty" doc:"Columns (0028,0011); absent if the server doesn't say." example:"512"`
	Frames         *int   `json:"frames,omitempty" doc:"Number of Frames (0028,0008); absent if the server doesn't say." example:"1"`
}

// ErrTruncated ends a search of which the limit has cut off the rest.
var ErrTruncated = errors.New(
	"there are more results than the limit lets through; narrow the search, or raise the limit",
)

// Search asks a server for studies. Truncated tells that there are more than the limit let through; there is no next
// page.
func (c Servers) Search(ctx context.Context, server string, q StudyQuery) (Page[Study], error) {
	return searched[Study](ctx, c.caller, server, "studies", q)
}

// Studies is Search as an iterator. It ends with ErrTruncated if there are more than the limit let through: nobody may
// take a part of them for all.
func (c Servers) Studies(ctx context.Context, server string, q StudyQuery) iter.Seq2[Study, error] {
	return found(func() (Page[Study], error) { return c.Search(ctx, server, q) })
}

// Series asks a server for the series of a study. It ends with ErrTruncated if there are more than the limit let
// through.
func (c Servers) Series(ctx context.Context, server string, q SeriesQuery) iter.Seq2[FoundSeries, error] {
	return found(func() (Page[FoundSeries], error) {
		return searched[FoundSeries](ctx, c.caller, server, "series", q)
	})
}

// Instances asks a server for the instances of a series. It ends with ErrTruncated if there are more than the limit let
// through.
func (c Servers) Instances(ctx context.Context, server string, q InstanceQuery) iter.Seq2[FoundInstance, error] {
	return found(func() (Page[FoundInstance], error) {
		return searched[FoundInstance](ctx, c.caller, server, "instances", q)
	})
}

// searched asks a server at a level. What is wanted travels in the body, so that no log of addresses holds it.
func searched[T any](ctx context.Context, c *caller, server, level string, q any) (page Page[T], err error) {
	path := "/api/v1/servers/" + escape(server) + "/" + level + ":search"
	err = c.do(ctx, request{method: http.MethodPost, path: path, body: q, repeatable: true, reads: true}, &page)
	return page, err
}

// found yields what a search gave.
func found[T any](search func() (Page[T], error)) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		page, err := search()
		for _, item := range page.Items {
			if !yield(item, nil) {
				return
			}
		}
		if err == nil && page.Truncated {
			err = ErrTruncated
		}
		if err != nil {
			var none T
			yield(none, err)
		}
	}
}

// StudyDownload says what of a study is wanted, and how it is to be changed. Empty fields change nothing.
type StudyDownload struct {
	StudyInstanceUID   string
	SeriesInstanceUIDs []string // none: the whole study
	Pseudonym          string   // all of it is de-identified then, by the profile of the project
	TrialProtocolID    string
	TrialProtocolName  string
	Project            string // that of the active group without
}

// Download fetches a study from a server and writes it as a zip to w, a file of which is an instance. After an error
// what was written is no whole zip.
func (c Servers) Download(ctx context.Context, server string, d StudyDownload, w io.Writer) error {
	return c.copy(ctx, get(
		"/api/v1/servers/"+escape(server)+"/studies/"+escape(d.StudyInstanceUID)+"/download",
		query(map[string]any{
			"series": strings.Join(d.SeriesInstanceUIDs, ","), "pseudonym": d.Pseudonym, "project": d.Project,
			"trial_protocol_id": d.TrialProtocolID, "trial_protocol_name": d.TrialProtocolName,
		}),
	), w)
}

// SPDX-License-Identifier: AGPL-3.0-or-later

package client

import (
	"context"
	"io"
	"iter"
	"net/http"
	"net/url"
)

// MassFilter says which series a mass transfer is about. A series is taken that fits an including filter and no
// excluding one. Texts match as a whole, without regard to case, accents and blanks; * is for any characters, ? for
// one.
type MassFilter struct {
	Mode               string `json:"mode,omitempty" enum:"include,exclude" default:"include" doc:"Whether series that fit are taken or left out." example:"include"`
	Modality           string `json:"modality,omitempty" maxLength:"16" doc:"Modality of the series." example:"CT"`
	InstitutionName    string `json:"institution_name,omitempty" maxLength:"64" doc:"Institution Name of the series." example:"*Neuroradiology*"`
	InstitutionOnStudy *bool  `json:"apply_institution_on_study,omitempty" doc:"All series of a study fit the institution if one of them does; by default true. An excluding filter asks each series." example:"true"`
	StudyDescription   string `json:"study_description,omitempty" maxLength:"64" doc:"Description of the study." example:"*head*"`
	SeriesDescription  string `json:"series_description,omitempty" maxLength:"64" doc:"Description of the series." example:"T2*"`
	SeriesNumber       *int   `json:"series_number,omitempty" minimum:"-2147483648" maximum:"2147483647" doc:"Number of the series. A series without one doesn't fit." example:"4"`
	MinAge             *int   `json:"min_age,omitempty" minimum:"0" maximum:"200" doc:"Completed years of the patient on the day of the study, at least." example:"18"`
	MaxAge             *int   `json:"max_age,omitempty" minimum:"0" maximum:"200" doc:"Completed years of the patient on the day of the study, at most." example:"90"`
	MinInstances       *int   `json:"min_number_of_series_related_instances,omitempty" minimum:"1" maximum:"2147483647" doc:"Instances of the series, at least." example:"20"`
}

// Partitions of the days of a mass transfer.
const (
	Daily  = "daily"
	Weekly = "weekly" // seven days each, from the first day on
)

// MassSettings are what a mass transfer is about, whichever days it looks through.
type MassSettings struct {
	BatchAbout
	Source            string       `json:"source" doc:"Name of the server that the studies are read from." example:"PACS"`
	Destination       string       `json:"destination" doc:"Name of the server or folder that they go to." example:"research"`
	Project           string       `json:"project,omitempty" doc:"Name of the project whose key and profile pseudonymize; absent: the default project of one's active group." example:"stroke-2026"`
	Partitions        string       `json:"partitions,omitempty" enum:"daily,weekly" default:"daily" doc:"The days that a task looks through at once: each by itself, or seven from the first one on." example:"daily"`
	Filters           []MassFilter `json:"filters" minItems:"1" maxItems:"1000" nullable:"false" doc:"Which series it is about; at least one filter includes."`
	Pseudonymize      *bool        `json:"pseudonymize,omitempty" doc:"Each study goes out de-identified, under the pseudonym of its patient; by default true." example:"true"`
	LeaveOutRejected  *bool        `json:"leave_out_rejected,omitempty" doc:"As of a selective transfer."`
	TrialProtocolID   string       `json:"trial_protocol_id,omitempty" doc:"Written into Clinical Trial Protocol ID of each instance; at most 64 characters." example:"STROKE-26"`
	TrialProtocolName string       `json:"trial_protocol_name,omitempty" doc:"Written into Clinical Trial Protocol Name of each instance; at most 64 characters." example:"Stroke imaging"`
	MailWhenFinished  bool         `json:"mail_when_finished,omitempty" doc:"Send the caller a mail when the job has ended; not by default."`
}

// NewMassTransfer transfers what a server has of some days.
type NewMassTransfer struct {
	MassSettings
	StartDate string `json:"start_date" format:"date" doc:"The first day, as the source has its dates." example:"2024-01-01"`
	EndDate   string `json:"end_date" format:"date" doc:"The last day." example:"2024-12-31"`
	DryRun    bool   `json:"dry_run,omitempty" doc:"Only look for what there is; nothing is transferred until the job is begun (POST /jobs/{id}:begin)."`
}

// MassTransfer is what a mass transfer looks for, and what it has found so far.
type MassTransfer struct {
	StartDate  string       `json:"start_date" format:"date" doc:"The first day, as the source has its dates." example:"2024-01-01"`
	EndDate    string       `json:"end_date" format:"date" doc:"The last day." example:"2024-12-31"`
	Partitions string       `json:"partitions" enum:"daily,weekly" doc:"The days that a task looks through at once." example:"daily"`
	Filters    []MassFilter `json:"filters" nullable:"false" doc:"Which series it is about."`
	DryRun     bool         `json:"dry_run" doc:"It only looks for what there is. Once it has ended it can be begun."`
	Found      MassCount    `json:"found" doc:"What all partitions have found together, so far."`
	Looked     MassTasks    `json:"looked" doc:"How far the partitions are."`
	Moved      MassTasks    `json:"moved" doc:"How far the studies are that are to be transferred."`
}

// MassTasks counts the tasks of a mass transfer, of one of their two kinds.
type MassTasks struct {
	All     int `json:"all" doc:"All of them." example:"3650"`
	Success int `json:"success" doc:"Those that ended in Success." example:"3600"`
	Warning int `json:"warning" doc:"Those that ended in Warning." example:"3"`
	Failure int `json:"failure" doc:"Those that failed." example:"1"`
}

// MassCount counts what a mass transfer has found.
type MassCount struct {
	Patients  int64 `json:"patients" doc:"Patient IDs." example:"812"`
	Studies   int64 `json:"studies" doc:"Studies with a series that the filters take." example:"1204"`
	Series    int64 `json:"series" doc:"Series that the filters take." example:"2410"`
	Instances int64 `json:"instances" doc:"Instances of these series, as far as the source counts them." example:"482000"`
	Uncounted int64 `json:"uncounted" doc:"Series of which the source doesn't count the instances." example:"0"`
}

// MassPartition is some days of a mass transfer, and what they have.
type MassPartition struct {
	TaskID    int64  `json:"task_id" doc:"The task that looks through them." example:"1201"`
	Seq       int    `json:"seq" doc:"Place of that task in its job; partitions are listed in this order." example:"17"`
	From      string `json:"from" format:"date" doc:"The first day." example:"2024-01-17"`
	To        string `json:"to" format:"date" doc:"The last day." example:"2024-01-17"`
	Status    string `json:"status" enum:"pending,in_progress,canceled,success,warning,failure" doc:"Status of the task." example:"success"`
	Message   string `json:"message" doc:"How it ended; empty before." example:"4 studies with 9 series found, of 31 studies of that day."`
	Searched  int    `json:"searched" doc:"Studies that were looked at." example:"31"`
	Studies   int    `json:"studies" doc:"Studies with a series that the filters take." example:"4"`
	Series    int    `json:"series" doc:"Series that the filters take." example:"9"`
	Instances int64  `json:"instances" doc:"Instances of these series, as far as the source counts them." example:"1810"`
}

// MassVolume is a series that a mass transfer has found.
type MassVolume struct {
	ID                int64  `json:"id" doc:"Number of the volume; they are listed in this order." example:"8125"`
	TaskID            int64  `json:"task_id,omitempty" doc:"The task that transfers it; absent of a dry run." example:"5201"`
	Partition         string `json:"partition" doc:"The days in which it was found: YYYYMMDD or YYYYMMDD-YYYYMMDD." example:"20240117"`
	Status            string `json:"status" enum:"found,pending,in_progress,canceled,success,warning,failure,left_out" doc:"Whether it is delivered: that of its task, and after its end that of the series itself. found: nothing transfers it yet. left_out: a rule of the job sends nothing of it." example:"success"`
	PatientID         string `json:"patient_id" doc:"Patient ID at the source." example:"PHANTOM-001"`
	AccessionNumber   string `json:"accession_number" doc:"May be empty." example:"DEMO-0001"`
	StudyInstanceUID  string `json:"study_instance_uid" doc:"Study Instance UID at the source." example:"1.2.826.0.1.3680043.8.498.1"`
	SeriesInstanceUID string `json:"series_instance_uid" doc:"Series Instance UID at the source." example:"1.2.826.0.1.3680043.8.498.1.2"`
	Modality          string `json:"modality" doc:"Of the series." example:"CT"`
	StudyDescription  string `json:"study_description" doc:"May be empty." example:"CT head"`
	SeriesDescription string `json:"series_description" doc:"May be empty." example:"Axial 2 mm"`
	SeriesNumber      *int   `json:"series_number,omitempty" doc:"Absent where the source doesn't say." example:"2"`
	StudyDate         string `json:"study_date" doc:"YYYYMMDD." example:"20240117"`
	StudyTime         string `json:"study_time" doc:"HHMMSS, as sent; may be empty." example:"081500"`
	InstitutionName   string `json:"institution_name" doc:"May be empty." example:"Neuroradiology"`
	Instances         *int   `json:"instances,omitempty" doc:"Absent where the source doesn't say." example:"40"`
	Delivered         int    `json:"delivered" doc:"Instances that the destination has acknowledged, once the task has ended." example:"40"`
}

// VolumeFilter chooses volumes of a mass transfer.
type VolumeFilter struct {
	Status    string // one, or several with commas; empty: any
	Partition int64  // the task of a partition; 0: any
	Limit     int    // volumes per page, at most 500; 50 by default
}

// Create makes a mass transfer. The key is that of Jobs.Create.
func (c Mass) Create(ctx context.Context, m NewMassTransfer, idempotencyKey string) (Job, error) {
	var made Job
	return made, c.make(ctx, "/api/v1/mass-transfers", m, idempotencyKey, &made)
}

// Get tells what a mass transfer looks for, and what it has found so far.
func (c Mass) Get(ctx context.Context, job int64) (MassTransfer, error) {
	var m MassTransfer
	return m, c.do(ctx, get(jobPath(job)+"/mass", nil), &m)
}

// Partitions returns the partitions of a mass transfer, with what each has found.
func (c Mass) Partitions(ctx context.Context, job int64) iter.Seq2[MassPartition, error] {
	return list[MassPartition](ctx, c.caller, jobPath(job)+"/partitions", url.Values{"limit": {"500"}})
}

// Volumes returns the series that a mass transfer has found.
func (c Mass) Volumes(ctx context.Context, job int64, f VolumeFilter) iter.Seq2[MassVolume, error] {
	return list[MassVolume](ctx, c.caller, jobPath(job)+"/volumes", query(map[string]any{
		"status": f.Status, "partition": f.Partition, "limit": f.Limit,
	}))
}

// Export writes the series that a mass transfer has found as a table, with what became of each.
func (c Mass) Export(ctx context.Context, job int64, f Format, to io.Writer) error {
	return c.copy(ctx, get(jobPath(job)+"/volumes:export", query(map[string]any{"format": string(f)})), to)
}

// FilterTable is a table out of which filters are made.
type FilterTable struct {
	File []byte `json:"file" minLength:"1" doc:"The table, .xlsx or CSV, in base64. Its columns are named as the properties of a filter; each row makes one." example:"bW9kYWxpdHksc3R1ZHlfZGVzY3JpcHRpb24NCkNULENUIGhlYWQNCg=="`
}

// MassFilters are filters of a mass transfer.
type MassFilters struct {
	Filters []MassFilter `json:"filters" nullable:"false" doc:"One for each row, none twice."`
}

// Filters makes filters out of a table.
func (c Mass) Filters(ctx context.Context, t FilterTable) ([]MassFilter, error) {
	var f MassFilters
	return f.Filters, c.do(ctx, request{
		method: http.MethodPost, path: "/api/v1/mass-filters:read", body: t, repeatable: true,
	}, &f)
}

// SPDX-License-Identifier: AGPL-3.0-or-later

package client

import (
	"context"
	"crypto/rand"
	"io"
	"iter"
	"net/http"
	"net/url"
)

// BatchFile is a file of rows.
type BatchFile struct {
	File  []byte `json:"file" minLength:"1" doc:"The file as it is, .xlsx or CSV, in base64." example:"UGF0aWVudElELE1vZGFsaXR5DQpQSEFOVE9NLTAwMSxDVA0K"`
	Dates string `json:"dates,omitempty" enum:"DD.MM.YYYY,MM/DD/YYYY" doc:"How dates that are text are written, beside YYYY-MM-DD and YYYYMMDD, which are always understood." example:"DD.MM.YYYY"`
	// MacRoman says that a CSV file without a byte order mark that is no UTF-8 is in MacRoman.
	MacRoman bool `json:"mac_roman,omitempty" doc:"A CSV file that is no UTF-8 is in MacRoman; otherwise it is taken for Windows-1252."`
}

// BatchAbout is what people write about a job that is made from a file.
type BatchAbout struct {
	Title       string `json:"title,omitempty" maxLength:"150" doc:"What it is called, for people." example:"Stroke imaging 2026"`
	Description string `json:"description,omitempty" maxLength:"2000" doc:"What it is for." example:"CT within a day of admission"`
	EthicsID    string `json:"ethics_id,omitempty" maxLength:"100" doc:"Number of the application to the ethics committee." example:"S-123/2026"`
}

// NewBatchQuery asks servers what each row of a file describes.
type NewBatchQuery struct {
	BatchFile
	BatchAbout
	Sources          []string `json:"sources" minItems:"1" maxItems:"10" nullable:"false" doc:"Names of the servers that are asked. Each gets a job of its own." example:"PACS"`
	Project          string   `json:"project,omitempty" doc:"Name of the project that the jobs belong to; absent: the default project of one's active group." example:"stroke-2026"`
	Urgent           bool     `json:"urgent,omitempty" doc:"Before all jobs that are not urgent; needs a permission."`
	OutsideWindows   bool     `json:"outside_windows,omitempty" doc:"Urgent, and runs where the window of a server is closed for jobs, within the default's cap; needs a permission."`
	MailWhenFinished bool     `json:"mail_when_finished,omitempty" doc:"Send the caller a mail when a job has ended; not by default."`
}

// NewBatchTransfer transfers the studies that the rows of a file name.
type NewBatchTransfer struct {
	BatchFile
	BatchAbout
	Source            string `json:"source" doc:"Name of the server that the studies are read from." example:"PACS"`
	Destination       string `json:"destination" doc:"Name of the server or folder that they go to." example:"research"`
	Project           string `json:"project,omitempty" doc:"Name of the project whose key and profile pseudonymize; absent: the default project of one's active group." example:"stroke-2026"`
	Pseudonymize      bool   `json:"pseudonymize,omitempty" doc:"Studies without a pseudonym in the file get that of their patient: by the project's linkage table, or one that is made."`
	LeaveOutRejected  *bool  `json:"leave_out_rejected,omitempty" doc:"As of a selective transfer."`
	TrialProtocolID   string `json:"trial_protocol_id,omitempty" doc:"Written into Clinical Trial Protocol ID of each instance; at most 64 characters." example:"STROKE-26"`
	TrialProtocolName string `json:"trial_protocol_name,omitempty" doc:"Written into Clinical Trial Protocol Name of each instance; at most 64 characters." example:"Stroke imaging"`
	Urgent            bool   `json:"urgent,omitempty" doc:"Before all jobs that are not urgent; needs a permission."`
	OutsideWindows    bool   `json:"outside_windows,omitempty" doc:"Urgent, and runs where the window of a server is closed for jobs, within the default's cap; needs a permission."`
	MailWhenFinished  bool   `json:"mail_when_finished,omitempty" doc:"Send the caller a mail when the job has ended; not by default."`
	ArchivePassword   string `json:"archive_password,omitempty" writeOnly:"true" doc:"As of a selective transfer." example:"correct horse battery staple"`
}

// BatchToCheck is a file that is to be tried.
type BatchToCheck struct {
	BatchFile
	Kind         string `json:"kind" enum:"batch_query,batch_transfer" doc:"What it is to be the file of."`
	Pseudonymize bool   `json:"pseudonymize,omitempty" doc:"As of the batch transfer: rows need no pseudonym then."`
	AllRows      bool   `json:"all_rows,omitempty" doc:"Show the first 1,000 rows, whether they have a fault or not."`
}

// BatchPreview says what a file holds. While it has faults, no job can be made of it.
type BatchPreview struct {
	Sheet          string       `json:"sheet,omitempty" doc:"Name of the sheet that was read, of an .xlsx file." example:"Sheet1"`
	Encoding       string       `json:"encoding,omitempty" doc:"How the text of a CSV file was read." example:"UTF-8"`
	Delimiter      string       `json:"delimiter,omitempty" doc:"What stands between the values of a CSV file." example:";"`
	Columns        []string     `json:"columns" nullable:"false" doc:"Columns of the file that ADIT knows, in their order." example:"[\"PatientID\",\"Modality\"]"`
	ExtraColumns   []string     `json:"extra_columns" nullable:"false" doc:"Columns that ADIT doesn't know; they come back with the results." example:"[\"Cohort\"]"`
	Rows           int          `json:"rows" doc:"Rows with values, without the header." example:"512"`
	FaultyRows     int          `json:"faulty_rows" doc:"Rows that have a fault." example:"16"`
	Tasks          int          `json:"tasks" doc:"Queries, or studies, that the rows without a fault make." example:"489"`
	MergedRows     int          `json:"merged_rows" doc:"Rows that belong to the study of another row." example:"7"`
	Patients       int          `json:"patients" doc:"Patients of the rows without a fault, as far as the file tells." example:"231"`
	IdentifiedRows int          `json:"identified_rows" doc:"Of a transfer without pseudonymize: rows without a fault that give no pseudonym, so that their patients keep their identity." example:"0"`
	FaultCount     int          `json:"fault_count" doc:"All faults, also those that are not listed." example:"16"`
	Kinds          []BatchKind  `json:"kinds" nullable:"false" doc:"How many faults there are of which kind, the most frequent first."`
	Faults         []BatchFault `json:"faults" nullable:"false" doc:"The first 1,000 faults, by row."`
	Hints          []BatchFault `json:"hints" nullable:"false" doc:"The first 1,000 things that somebody should look at, though they are no faults."`
	Shown          []BatchRow   `json:"shown" nullable:"false" doc:"The first 500 rows that have a fault; the first 50 rows if none has; with all_rows the first 1,000."`
}

// BatchKind is how many faults there are of a kind.
type BatchKind struct {
	Kind  string `json:"kind" doc:"A word that does not change." example:"missing"`
	Title string `json:"title" doc:"What people read in its place." example:"Value missing"`
	Count int    `json:"count" doc:"Faults of this kind." example:"3"`
}

// BatchFault says what is wrong with a row, or what somebody should look at.
type BatchFault struct {
	Row    int    `json:"row" doc:"Number of the row as a spreadsheet shows it; 0: it is about the whole file." example:"17"`
	Column string `json:"column,omitempty" doc:"Name of the column; absent: it is about the whole row." example:"PatientID"`
	Cell   string `json:"cell,omitempty" doc:"The cell as a spreadsheet names it." example:"A17"`
	Text   string `json:"text,omitempty" doc:"What the cell holds." example:"1,001E+10"`
	Kind   string `json:"kind" doc:"A word that does not change." example:"spreadsheet"`
	Says   string `json:"says" doc:"What is wrong, and what to do." example:"Excel has rewritten this number. Format the column as text, and write the number again."`
}

// BatchRow is a row of a file as it was read.
type BatchRow struct {
	Row   int      `json:"row" doc:"Number of the row as a spreadsheet shows it." example:"17"`
	Cells []string `json:"cells" nullable:"false" doc:"What it holds: in the known columns, then in the others." example:"[\"PHANTOM-001\",\"CT\"]"`
}

// BatchJobs are the jobs of a batch query.
type BatchJobs struct {
	Jobs []Job `json:"jobs" nullable:"false" doc:"One for each source, in the order in which they were named."`
}

// QueryResult is a study that a batch query found, or a series where its row asks for series.
type QueryResult struct {
	ID                int64    `json:"id" doc:"Number of the result; they are listed in this order." example:"8125"`
	JobID             int64    `json:"job_id" doc:"The job that found it." example:"4711"`
	TaskID            int64    `json:"task_id" doc:"The task that found it." example:"1201"`
	Source            string   `json:"source" doc:"Name of the server that has it." example:"PACS"`
	Row               int      `json:"row" doc:"The row of the file that asked for it." example:"17"`
	Pseudonym         string   `json:"pseudonym,omitempty" doc:"That of the row; absent if it gives none." example:"SUBJ-001"`
	PatientID         string   `json:"patient_id" doc:"Patient ID at the source." example:"PHANTOM-001"`
	PatientName       string   `json:"patient_name" doc:"As the source has it." example:"Phantom^Alpha"`
	PatientBirthDate  string   `json:"patient_birth_date" doc:"YYYYMMDD; may be empty." example:"19500101"`
	AccessionNumber   string   `json:"accession_number" doc:"May be empty." example:"DEMO-0001"`
	StudyInstanceUID  string   `json:"study_instance_uid" doc:"Study Instance UID at the source." example:"1.2.826.0.1.3680043.8.498.1"`
	StudyDate         string   `json:"study_date" doc:"YYYYMMDD; may be empty." example:"20240108"`
	StudyTime         string   `json:"study_time" doc:"HHMMSS, as sent; may be empty." example:"081500"`
	StudyDescription  string   `json:"study_description" doc:"May be empty." example:"CT abdomen"`
	Modalities        []string `json:"modalities" nullable:"false" doc:"Of the study, or of the series." example:"[\"CT\"]"`
	SeriesInstanceUID string   `json:"series_instance_uid,omitempty" doc:"Series Instance UID; absent of a study." example:"1.2.826.0.1.3680043.8.498.1.2"`
	SeriesDescription string   `json:"series_description,omitempty" doc:"Absent of a study." example:"Axial 2 mm"`
	SeriesNumber      *int     `json:"series_number,omitempty" doc:"Absent of a study, or where the source doesn't say." example:"2"`
	Instances         *int     `json:"instances,omitempty" doc:"Of the study, or of the series; absent where the source doesn't say." example:"40"`
	Extra             []string `json:"extra" nullable:"false" doc:"What its row holds in the columns that ADIT doesn't know." example:"[\"A\"]"`
}

// QueryCount is how much a batch query has found.
type QueryCount struct {
	Results      int64         `json:"results" doc:"Results so far." example:"512"`
	Studies      int64         `json:"studies" doc:"Different studies among them." example:"498"`
	Patients     int64         `json:"patients" doc:"Different Patient IDs among them." example:"236"`
	OfSeries     bool          `json:"of_series" doc:"Whether some are series."`
	Pseudonyms   bool          `json:"pseudonyms" doc:"Whether some rows give a pseudonym."`
	ExtraColumns []string      `json:"extra_columns" nullable:"false" doc:"Names for what extra holds of each result." example:"[\"Cohort\"]"`
	Jobs         []JobOfSource `json:"jobs" nullable:"false" doc:"The jobs whose results these are; with all_sources one for each source."`
}

// JobOfSource is a job of a batch query.
type JobOfSource struct {
	ID     int64  `json:"id" doc:"Number of the job." example:"4711"`
	Source string `json:"source" doc:"Name of the server that it asks." example:"PACS"`
}

// Check says what a file holds and what is wrong with it, and makes nothing.
func (c Batch) Check(ctx context.Context, b BatchToCheck) (BatchPreview, error) {
	var p BatchPreview
	return p, c.do(ctx, request{method: http.MethodPost, path: "/api/v1/batch:check", body: b, repeatable: true}, &p)
}

// Remarks writes the rows of a file as .xlsx, with what is wrong with them, to be corrected there and used again.
func (c Batch) Remarks(ctx context.Context, b BatchToCheck, to io.Writer) error {
	return c.copy(ctx, request{method: http.MethodPost, path: "/api/v1/batch:remarks", body: b, repeatable: true}, to)
}

// Query makes the jobs of a batch query. The key is that of Jobs.Create.
func (c Batch) Query(ctx context.Context, b NewBatchQuery, idempotencyKey string) ([]Job, error) {
	var made BatchJobs
	return made.Jobs, c.make(ctx, "/api/v1/batch-queries", b, idempotencyKey, &made)
}

// Transfer makes a batch transfer. The key is that of Jobs.Create.
func (c Batch) Transfer(ctx context.Context, b NewBatchTransfer, idempotencyKey string) (Job, error) {
	var made Job
	return made, c.make(ctx, "/api/v1/batch-transfers", b, idempotencyKey, &made)
}

// make sends what makes jobs, once.
func (c *caller) make(ctx context.Context, path string, body any, key string, made any) error {
	if key == "" {
		key = rand.Text()
	}
	return c.do(ctx, request{
		method: http.MethodPost, path: path, body: body, repeatable: true, header: http.Header{"Idempotency-Key": {key}},
	}, made)
}

// ResultFilter chooses results of a batch query.
type ResultFilter struct {
	AllSources bool  // those of all jobs of the batch query, not of this one alone
	Task       int64 // 0: any
	Limit      int   // results per page, at most 500; 50 by default
}

func (f ResultFilter) query() url.Values {
	return query(map[string]any{"all_sources": f.AllSources, "task": f.Task, "limit": f.Limit})
}

// Results returns what a batch query has found so far.
func (c Batch) Results(ctx context.Context, job int64, f ResultFilter) iter.Seq2[QueryResult, error] {
	return list[QueryResult](ctx, c.caller, jobPath(job)+"/results", f.query())
}

// Count counts what a batch query has found so far.
func (c Batch) Count(ctx context.Context, job int64, allSources bool) (QueryCount, error) {
	var n QueryCount
	return n, c.do(ctx, get(jobPath(job)+"/results:count", query(map[string]any{"all_sources": allSources})), &n)
}

// Format is how a table is written.
type Format string

// The formats. Those of CSV are UTF-8 with a byte order mark.
const (
	XLSX         Format = "xlsx"
	CSV          Format = "csv"           // with commas
	CSVSemicolon Format = "csv-semicolon" // as some Excels want it
)

// Export writes what a batch query has found; it can be used as it is for a batch transfer.
func (c Batch) Export(ctx context.Context, job int64, allSources bool, f Format, to io.Writer) error {
	return c.copy(ctx, get(jobPath(job)+"/results:export", query(map[string]any{
		"all_sources": allSources, "format": string(f),
	})), to)
}

// FailedRows writes the rows of a batch query that failed, with the reason; it can be used again.
func (c Batch) FailedRows(ctx context.Context, job int64, f Format, to io.Writer) error {
	return c.copy(ctx, get(jobPath(job)+"/failed-rows", query(map[string]any{"format": string(f)})), to)
}

// Sample writes a small file with all columns of a kind, batch_query or batch_transfer.
func (c Batch) Sample(ctx context.Context, kind string, f Format, to io.Writer) error {
	return c.copy(ctx, get("/api/v1/batch-samples/"+url.PathEscape(kind), query(map[string]any{"format": string(f)})), to)
}

// SPDX-License-Identifier: AGPL-3.0-or-later

package client

import "time"

// The kinds of DICOM nodes.
const (
	KindServer = "server"
	KindFolder = "folder"
)

// Node is a DICOM node: a server or a folder, what transfers come from and go to.
type Node struct {
	ID     int64   `json:"id"`
	Kind   string  `json:"kind" enum:"server,folder"`
	Name   string  `json:"name" doc:"Unique over servers and folders, in any case of letters."`
	Server *Server `json:"server,omitempty" doc:"The server, if it is one, for staff."`
	Folder *Folder `json:"folder,omitempty" doc:"The folder, if it is one, for staff."`

	Source      bool `json:"source" doc:"One's groups may read from it."`
	Destination bool `json:"destination" doc:"One's groups may write to it."`
	Paused      bool `json:"paused" doc:"Paused by staff: its tasks wait."`

	Takes     *int       `json:"takes,omitempty" doc:"Of a server: so many associations of jobs at once it is used for now, since it refused more. 0: none, and its tasks wait."`
	NextProbe *time.Time `json:"next_probe,omitempty" doc:"When it is asked again for a sign of life, or for one association more."`
}

// Server is a DICOM server.
type Server struct {
	ID int64 `json:"id"`
	ServerSettings
	Paused    bool      `json:"paused" doc:"Paused by staff: its tasks wait."`
	CreatedAt time.Time `json:"created_at"`
}

// ServerSettings say how a server is reached and how it may be used.
type ServerSettings struct {
	Name                string   `json:"name" doc:"1 to 64 characters, unique over servers and folders."`
	AETitle             string   `json:"ae_title" doc:"The server's AE title, 1 to 16 characters, unique."`
	Host                string   `json:"host" doc:"Host name or IP address."`
	Port                int      `json:"port" doc:"1 to 65535."`
	CallingAETitle      string   `json:"calling_ae_title,omitempty" doc:"The AE title that ADIT uses there, if not its own."`
	Supports            Supports `json:"supports" doc:"The services that the server offers."`
	ResultLimit         int      `json:"result_limit,omitempty" minimum:"0" maximum:"100000" doc:"Most results of a search; 200 by default."`
	IdleTimeout         int      `json:"idle_timeout,omitempty" minimum:"0" maximum:"3600" doc:"Seconds without any progress after which an association is given up, 1 to 3600; 60 by default."`
	BatchCap            *int     `json:"batch_cap,omitempty" minimum:"0" maximum:"1000" doc:"Most associations at once for jobs; 0 closes the server for jobs; 4 by default."`
	InteractiveCap      *int     `json:"interactive_cap,omitempty" minimum:"0" maximum:"1000" doc:"Most associations at once for searches and checks; 2 by default."`
	AssociationsPerTask int      `json:"associations_per_task,omitempty" minimum:"0" maximum:"100" doc:"Associations that one task may use to store, and to retrieve series side by side, when no other task waits; 4 by default."`
	FindImages          *bool    `json:"find_images,omitempty" doc:"It is asked for single images (C-FIND at IMAGE level); true by default. Without, its counts prove that a transfer is complete."`
	IssuerOfPatientID   string   `json:"issuer_of_patient_id,omitempty" doc:"Who gives out its Patient IDs. For pseudonyms the same ID of two issuers is two patients; servers that share patients must name the same, or none."`
	TLS                 TLS      `json:"tls,omitzero" doc:"How associations are secured."`
	Retrieve            Retrieve `json:"retrieve,omitzero" doc:"How it is read from, and how it stores to ADIT's receiver by C-MOVE."`
	Rules               Rules    `json:"rules,omitzero" doc:"What it is asked and spared of at all hours."`
	Verify              Verify   `json:"verify,omitzero" doc:"How it is asked, as a destination, whether it has what it acknowledged."`
}

// Verify says how deliveries to a server are verified.
type Verify struct {
	Method   string `json:"method,omitempty" enum:"none,presence,commitment" doc:"none (default); presence: it lists the instances by C-FIND; commitment: it reports storage commitment for them."`
	Patience int    `json:"patience,omitempty" minimum:"0" maximum:"86400" doc:"Seconds until what is not verified by then is a warning; 600 by default. Nothing is sent again by itself."`
}

// Retrieve says how a server is read from, and under which names and from where it stores to ADIT's receiver by C-MOVE.
type Retrieve struct {
	Methods              []string `json:"methods,omitempty" enum:"C-GET,C-MOVE" maxItems:"2" doc:"In the order in which they are tried, of those that it supports; C-GET, then C-MOVE by default."`
	MoveDestination      string   `json:"move_destination,omitempty" doc:"AE title under which it knows ADIT's receiver, if not ADIT's own."`
	MoveDestinationPlain string   `json:"move_destination_plain,omitempty" doc:"The same for the receiver that takes nothing compressed; ADIT_LE by default."`
	MoveOriginator       bool     `json:"move_originator,omitempty" doc:"What it stores is known to carry the Move Originator fields: it may move one study twice at a time."`
	MovePatience         int      `json:"move_patience,omitempty" minimum:"0" maximum:"3600" doc:"Seconds to wait for objects that come later than the end of their C-MOVE; 10 by default."`
	OtherAETitles        []string `json:"other_ae_titles,omitempty" maxItems:"16" doc:"Under which it stores, besides its own."`
	AddressRanges        []string `json:"address_ranges,omitempty" maxItems:"64" doc:"Addresses from which it may call, besides those that its host resolves to, as in 10.1.0.0/16."`

	Direct map[string]string `json:"direct,omitempty" doc:"AE titles under which it knows destinations, by their names in ADIT. To those it sends by C-MOVE itself what nothing is to be changed of; ADIT verifies by C-FIND what has arrived, and fetches the rest."`
}

// TLS says how associations with a server are secured.
type TLS struct {
	Use         bool   `json:"use,omitempty" doc:"Use TLS."`
	Profile     string `json:"profile,omitempty" enum:"bcp195-rfc9325,bcp195" doc:"bcp195-rfc9325 (default; PS3.15 B.12), or bcp195 for older devices (PS3.15 B.9)."`
	Verify      string `json:"verify,omitempty" enum:"name,authority" doc:"name (default): the server's certificate must be of a trusted authority and name the server; authority: the name doesn't matter."`
	Authorities string `json:"authorities,omitempty" doc:"Certificates of the authorities that sign the server's, in PEM; those that the system trusts if there are none."`
	Certificate string `json:"certificate,omitempty" doc:"The certificate that ADIT shows there, in PEM, with intermediate ones behind."`
	Key         string `json:"key,omitempty" writeOnly:"true" doc:"Its private key in PEM, without a password. It is kept encrypted and never shown again."`
	ServerName  string `json:"server_name,omitempty" doc:"Name in the server's certificate, if it isn't its host."`
}

// ServerChange changes a server's settings: nil fields stay as they are.
type ServerChange struct {
	AETitle             *string         `json:"ae_title,omitempty"`
	Host                *string         `json:"host,omitempty"`
	Port                *int            `json:"port,omitempty"`
	CallingAETitle      *string         `json:"calling_ae_title,omitempty"`
	Supports            *SupportsChange `json:"supports,omitempty"`
	ResultLimit         *int            `json:"result_limit,omitempty" minimum:"0" maximum:"100000"`
	IdleTimeout         *int            `json:"idle_timeout,omitempty" minimum:"0" maximum:"3600"`
	BatchCap            *int            `json:"batch_cap,omitempty" minimum:"0" maximum:"1000"`
	InteractiveCap      *int            `json:"interactive_cap,omitempty" minimum:"0" maximum:"1000"`
	AssociationsPerTask *int            `json:"associations_per_task,omitempty" minimum:"0" maximum:"100"`
	FindImages          *bool           `json:"find_images,omitempty"`
	IssuerOfPatientID   *string         `json:"issuer_of_patient_id,omitempty"`
	PatientsAnew        bool            `json:"patients_anew,omitempty" doc:"Another issuer is meant although patients of the server have pseudonyms: from now on they get others."`
	TLS                 *TLSChange      `json:"tls,omitempty"`
	Retrieve            *RetrieveChange `json:"retrieve,omitempty"`
	Verify              *VerifyChange   `json:"verify,omitempty"`
	Rules               *RulesChange    `json:"rules,omitempty"`
}

// VerifyChange changes how deliveries to a server are verified.
type VerifyChange struct {
	Method   *string `json:"method,omitempty" enum:"none,presence,commitment"`
	Patience *int    `json:"patience,omitempty" minimum:"0" maximum:"86400"`
}

// RetrieveChange changes how a server is read from.
type RetrieveChange struct {
	Methods              *[]string `json:"methods,omitempty" maxItems:"2"`
	MoveDestination      *string   `json:"move_destination,omitempty"`
	MoveDestinationPlain *string   `json:"move_destination_plain,omitempty"`
	MoveOriginator       *bool     `json:"move_originator,omitempty"`
	MovePatience         *int      `json:"move_patience,omitempty" minimum:"0" maximum:"3600"`
	OtherAETitles        *[]string `json:"other_ae_titles,omitempty" maxItems:"16"`
	AddressRanges        *[]string `json:"address_ranges,omitempty" maxItems:"64"`
	AddAddressRanges     []string  `json:"add_address_ranges,omitempty" maxItems:"64" doc:"Addresses or ranges that are added to address_ranges."`

	Direct map[string]string `json:"direct,omitempty" doc:"Destinations that are not named stay as they are; an empty AE title takes one away."`
}

// SupportsChange changes what a server is known to offer.
type SupportsChange struct {
	PatientRootFind *bool `json:"patient_root_find,omitempty"`
	PatientRootGet  *bool `json:"patient_root_get,omitempty"`
	PatientRootMove *bool `json:"patient_root_move,omitempty"`
	StudyRootFind   *bool `json:"study_root_find,omitempty"`
	StudyRootGet    *bool `json:"study_root_get,omitempty"`
	StudyRootMove   *bool `json:"study_root_move,omitempty"`
	Store           *bool `json:"store,omitempty"`
}

// TLSChange changes how associations are secured. A new certificate needs its key.
type TLSChange struct {
	Use         *bool   `json:"use,omitempty"`
	Profile     *string `json:"profile,omitempty" enum:"bcp195-rfc9325,bcp195"`
	Verify      *string `json:"verify,omitempty" enum:"name,authority"`
	Authorities *string `json:"authorities,omitempty"`
	Certificate *string `json:"certificate,omitempty"`
	Key         *string `json:"key,omitempty" writeOnly:"true"`
	ServerName  *string `json:"server_name,omitempty"`
}

// Supports are the services that a server offers. It is used as a source if it can be searched and read, as a destination
// if it stores.
type Supports struct {
	PatientRootFind bool `json:"patient_root_find,omitempty"`
	PatientRootGet  bool `json:"patient_root_get,omitempty"`
	PatientRootMove bool `json:"patient_root_move,omitempty"`
	StudyRootFind   bool `json:"study_root_find,omitempty"`
	StudyRootGet    bool `json:"study_root_get,omitempty"`
	StudyRootMove   bool `json:"study_root_move,omitempty"`
	Store           bool `json:"store,omitempty" doc:"It takes objects (C-STORE SCP)."`
}

// Folder is a folder of the machine that ADIT runs on.
type Folder struct {
	ID int64 `json:"id"`
	FolderSettings
	UsedGB    float64    `json:"used_gb" doc:"What its files take, and running tasks have set aside."`
	CountedAt *time.Time `json:"counted_at,omitempty" doc:"When its files were last counted; absent: not yet."`
	CreatedAt time.Time  `json:"created_at"`
}

// FolderSettings name a folder.
type FolderSettings struct {
	Name string `json:"name" doc:"1 to 64 characters, unique over servers and folders."`
	Path string `json:"path" doc:"Absolute path of a folder that is there and writable for ADIT."`
	FolderLimits
}

// FolderLimits bound what the files of a folder take. 1 GB = 10⁹ bytes.
type FolderLimits struct {
	QuotaGB float64 `json:"quota_gb,omitempty" minimum:"0" maximum:"10000000" doc:"Beyond it transfers to the folder fail; absent: none."`
	WarnGB  float64 `json:"warn_gb,omitempty" minimum:"0" maximum:"10000000" doc:"When it is reached staff gets a mail; absent: none."`
}

// FolderChange changes a folder: nil fields stay as they are.
type FolderChange struct {
	QuotaGB *float64 `json:"quota_gb,omitempty" minimum:"0" maximum:"10000000" doc:"0: none."`
	WarnGB  *float64 `json:"warn_gb,omitempty" minimum:"0" maximum:"10000000" doc:"0: none."`
	// Adopt takes what is at the path now for the folder.
	Adopt bool `json:"adopt,omitempty" doc:"What is at the path now is the folder from here on: a new disk, or one that was restored. Its marker file .adit-folder is taken over, or written if there is none. What unfinished tasks had written to the folder before is sent again, if that was another one."`
}

// CheckReport is what the check of a DICOM node found.
type CheckReport struct {
	Checks      []Check      `json:"checks" nullable:"false"`
	Suggestions []Suggestion `json:"suggestions" nullable:"false" doc:"Changes of the server's settings that fit what was seen."`
}

// Suggestion is a setting of a server that doesn't fit what was seen of it.
type Suggestion struct {
	Setting   string `json:"setting" example:"supports.study_root_get" doc:"Path of the setting in what changes a server."`
	Now       any    `json:"now"`
	Suggested any    `json:"suggested"`
	Why       string `json:"why"`
}

// Check is one thing that was tried at a DICOM node.
type Check struct {
	Name   string `json:"name" example:"echo"`
	OK     bool   `json:"ok"`
	Detail string `json:"detail" doc:"What was seen, and what to do if it failed."`
}

// StudyQuery says which studies of a server are wanted. Empty fields match everything; at least one must be given.
type StudyQuery struct {
	PatientID       string // exact
	PatientName     string // "Last, First" or in DICOM form, with * and ? as wildcards
	StudyDateFrom   string // YYYYMMDD, inclusive
	StudyDateTo     string // YYYYMMDD, inclusive
	Modality        string // one that is in the study; or several with commas, one of which is
	AccessionNumber string // exact
	Limit           int    // most results; 0: the server's result limit
}

// Study is a study as its server describes it, in the forms of DICOM: dates YYYYMMDD, times HHMMSS, names with "^".
type Study struct {
	StudyInstanceUID  string   `json:"study_instance_uid"`
	PatientID         string   `json:"patient_id"`
	PatientName       string   `json:"patient_name"`
	PatientBirthDate  string   `json:"patient_birth_date"`
	PatientSex        string   `json:"patient_sex"`
	StudyDate         string   `json:"study_date"`
	StudyTime         string   `json:"study_time"`
	StudyDescription  string   `json:"study_description"`
	AccessionNumber   string   `json:"accession_number"`
	ModalitiesInStudy []string `json:"modalities_in_study"`
	Series            *int     `json:"series,omitempty" doc:"Number of series; absent if the server doesn't say."`
	Instances         *int     `json:"instances,omitempty" doc:"Number of instances; absent if the server doesn't say."`
}

// SelectiveTransfer is the kind of job whose studies a person picks.
const SelectiveTransfer = "selective_transfer"

// NewJob is a job to be made.
type NewJob struct {
	Kind              string     `json:"kind" enum:"selective_transfer" doc:"selective_transfer: the studies named go from source to destination."`
	Source            string     `json:"source" doc:"Name of a server."`
	Destination       string     `json:"destination" doc:"Name of a server or folder."`
	Project           string     `json:"project,omitempty" doc:"Whose key and profile pseudonymize; the default project of one's active group by default."`
	Pseudonymize      bool       `json:"pseudonymize,omitempty" doc:"Studies without a pseudonym get that of their patient: by the project's linkage table, or one that is made."`
	LeaveOutRejected  *bool      `json:"leave_out_rejected,omitempty" doc:"Leave out the instances that a rejection note of the source names (IHE IOCM: rejected for quality or patient safety, wrong worklist entry, retention expired), and note how many. By default true if some study is de-identified, else false."`
	Studies           []NewStudy `json:"studies" minItems:"1" maxItems:"100000" nullable:"false" doc:"One task each."`
	TrialProtocolID   string     `json:"trial_protocol_id,omitempty" doc:"Written into each object; at most 64 characters."`
	TrialProtocolName string     `json:"trial_protocol_name,omitempty" doc:"Written into each object; at most 64 characters."`
	Urgent            bool       `json:"urgent,omitempty" doc:"Before all that is not urgent; needs a permission."`
	OutsideWindows    bool       `json:"outside_windows,omitempty" doc:"Urgent, and runs where the window of a server is closed for jobs, within the default's cap; needs a permission."`
	MailWhenFinished  bool       `json:"mail_when_finished,omitempty"`
}

// NewStudy is a study, or chosen series of it, to be transferred.
type NewStudy struct {
	StudyInstanceUID   string   `json:"study_instance_uid"`
	SeriesInstanceUIDs []string `json:"series_instance_uids,omitempty" doc:"Only these series; all if there are none."`
	PatientID          string   `json:"patient_id,omitempty" doc:"If given, a study of another patient is noted as a warning."`
	Pseudonym          string   `json:"pseudonym,omitempty" doc:"The study goes out de-identified under it. In a project a patient has one pseudonym, and a pseudonym one patient."`
}

// Statuses of jobs and tasks. A task is never Unverified or Canceling.
const (
	Unverified = "unverified"
	Pending    = "pending"
	InProgress = "in_progress"
	Canceling  = "canceling"
	Canceled   = "canceled"
	Success    = "success"
	Warning    = "warning"
	Failure    = "failure"
)

// Job is a job: who wants what to go where, and how far it is.
type Job struct {
	ID                int64      `json:"id"`
	Kind              string     `json:"kind"`
	Status            string     `json:"status" enum:"unverified,pending,in_progress,canceling,canceled,success,warning,failure"`
	Message           string     `json:"message" doc:"How it ended; empty before."`
	Owner             string     `json:"owner"`
	Source            string     `json:"source"`
	Destination       string     `json:"destination"`
	Project           string     `json:"project"`
	Pseudonymize      bool       `json:"pseudonymize,omitempty" doc:"Studies without a pseudonym get that of their patient."`
	LeaveOutRejected  bool       `json:"leave_out_rejected" doc:"Instances that a rejection note of the source names are left out, and noted."`
	Deidentified      *DeidBy    `json:"deidentified,omitempty" doc:"By what its studies are de-identified; absent if none is."`
	TrialProtocolID   string     `json:"trial_protocol_id,omitempty"`
	TrialProtocolName string     `json:"trial_protocol_name,omitempty"`
	Urgent            bool       `json:"urgent"`
	OutsideWindows    bool       `json:"outside_windows,omitempty" doc:"Runs where the window of a server is closed for jobs, within the default's cap."`
	Priority          int        `json:"priority"`
	Paused            bool       `json:"paused"`
	MailWhenFinished  bool       `json:"mail_when_finished"`
	Tasks             TaskCounts `json:"tasks"`
	CreatedAt         time.Time  `json:"created_at"`
	StartedAt         *time.Time `json:"started_at,omitempty"`
	EndedAt           *time.Time `json:"ended_at,omitempty"`
}

// DeidBy is the de-identification profile that a job was made with: it stays the same, whatever its project is changed to.
type DeidBy struct {
	Profile        string `json:"profile"`
	ProfileVersion string `json:"profile_version"`
	ProfileSHA256  string `json:"profile_sha256"`
	UIDGeneration  int    `json:"uid_generation"`
}

// Final tells whether a status is a last one, which changes only when somebody acts.
func Final(status string) bool {
	switch status {
	case Canceled, Success, Warning, Failure:
		return true
	}
	return false
}

// TaskCounts are the numbers of a job's tasks by status.
type TaskCounts struct {
	Pending    int `json:"pending"`
	InProgress int `json:"in_progress"`
	Success    int `json:"success"`
	Warning    int `json:"warning"`
	Failure    int `json:"failure"`
	Canceled   int `json:"canceled"`
}

// Total is the number of tasks.
func (c TaskCounts) Total() int {
	return c.Pending + c.InProgress + c.Success + c.Warning + c.Failure + c.Canceled
}

// Task is one study on its way.
type Task struct {
	ID                 int64      `json:"id"`
	JobID              int64      `json:"job_id"`
	Seq                int        `json:"seq" doc:"Place within the job, from 1."`
	Status             string     `json:"status" enum:"pending,in_progress,canceled,success,warning,failure"`
	WhyWaiting         string     `json:"why_waiting,omitempty" doc:"Why a pending task waits."`
	Message            string     `json:"message" doc:"What became of it, and what to do."`
	StudyInstanceUID   string     `json:"study_instance_uid"`
	SeriesInstanceUIDs []string   `json:"series_instance_uids,omitempty" doc:"The chosen series; absent for the whole study."`
	PatientID          string     `json:"patient_id,omitempty"`
	Pseudonym          string     `json:"pseudonym,omitempty" doc:"As given with the job; to its owner, and to whoever may see the project's linkage table."`
	Expected           int        `json:"expected" doc:"Instances that the source has and no rule leaves out."`
	Received           int        `json:"received" doc:"Instances that came from the source."`
	Delivered          int        `json:"delivered" doc:"Instances that the destination acknowledged."`
	Verified           int        `json:"verified" doc:"Instances found at the destination afterwards."`
	Bytes              int64      `json:"bytes" doc:"Bytes delivered."`
	Failures           int        `json:"failures" doc:"Attempts that failed by the task's own fault."`
	Waits              int        `json:"waits" doc:"Times that it waited for a server which could not be had."`
	CreatedAt          time.Time  `json:"created_at"`
	StartedAt          *time.Time `json:"started_at,omitempty"`
	EndedAt            *time.Time `json:"ended_at,omitempty"`
	Series             []Series   `json:"series,omitempty" doc:"What became of each series; only when a single task is asked for."`
}

// Series is what became of a series of a task.
type Series struct {
	SeriesInstanceUID string            `json:"series_instance_uid"`
	Expected          int               `json:"expected"`
	Delivered         int               `json:"delivered"`
	Verified          int               `json:"verified"`
	Bytes             int64             `json:"bytes"`
	Missing           []MissingInstance `json:"missing" nullable:"false" doc:"Instances that the destination has not acknowledged, and those that are unverified."`
	Truncated         bool              `json:"missing_truncated,omitempty" doc:"More are missing than the list holds."`
}

// MissingInstance is an instance that the source has and the destination did not acknowledge.
type MissingInstance struct {
	SOPInstanceUID string `json:"sop_instance_uid"`
	Status         string `json:"status,omitempty" doc:"The peer's DICOM status, four hexadecimal digits; absent if it gave none." example:"A700"`
	Reason         string `json:"reason"`
}

// LogLine is a line of a task's log.
type LogLine struct {
	At   time.Time `json:"at"`
	Line string    `json:"line"`
}

// JobAction is something that can be done to a job.
type JobAction string

// The actions, and the statuses that allow them. In any other, nothing changes and the answer is 409.
const (
	VerifyJob   JobAction = "verify"   // Unverified; staff only
	CancelJob   JobAction = "cancel"   // Pending, In Progress
	ResumeJob   JobAction = "resume"   // Canceled
	RetryJob    JobAction = "retry"    // Failure, Warning; only what failed, and what is unverified
	RestartJob  JobAction = "restart"  // Canceled, Success, Warning, Failure; staff only; all tasks
	PauseJob    JobAction = "pause"    // Pending, In Progress
	ContinueJob JobAction = "continue" // paused
)

// TaskAction is something that can be done to a task.
type TaskAction string

// The actions, and the statuses that allow them.
const (
	ResetTask TaskAction = "reset" // Canceled, Success, Warning, Failure
	KillTask  TaskAction = "kill"  // In Progress; staff only
)

// Page is a part of a list.
type Page[T any] struct {
	Items      []T    `json:"items" nullable:"false"`
	NextCursor string `json:"next_cursor,omitempty" doc:"Give it as cursor to get the next page; absent on the last one, and where there are no pages."`
	Truncated  bool   `json:"truncated" doc:"There is more than the items: on the next page, or, of a search, by other criteria or a higher limit."`
}

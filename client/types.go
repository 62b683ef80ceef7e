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
	ID     int64   `json:"id" doc:"Number of the node, which stays the same if its name changes." example:"3"`
	Kind   string  `json:"kind" enum:"server,folder" doc:"Whether it is a server or a folder."`
	Name   string  `json:"name" doc:"Unique over servers and folders, in any case of letters." example:"PACS"`
	Server *Server `json:"server,omitempty" doc:"The server, if it is one, for staff."`
	Folder *Folder `json:"folder,omitempty" doc:"The folder, if it is one, for staff."`

	Source      bool `json:"source" doc:"One's groups may read from it."`
	Destination bool `json:"destination" doc:"One's groups may write to it."`
	Paused      bool `json:"paused" doc:"Paused by staff: its tasks wait."`

	Takes     *int       `json:"takes,omitempty" doc:"Of a server: so many associations of jobs at once it is used for now, since it refused more. 0: none, and its tasks wait." example:"2"`
	TakesOf   *int       `json:"takes_of,omitempty" doc:"With takes: as many its schedule allows now." example:"4"`
	Down      string     `json:"down,omitempty" doc:"Why it is not available now; absent if it is. Shown to those who may use it, and to staff." example:"PACS does not answer at pacs.example.org:104."`
	NextProbe *time.Time `json:"next_probe,omitempty" doc:"When it is asked again for a sign of life, or for one association more."`
}

// Server is a DICOM server.
type Server struct {
	Versioned
	ID int64 `json:"id" doc:"Number of the node, which stays the same if its name changes." example:"3"`
	ServerSettings
	Paused    bool      `json:"paused" doc:"Paused by staff: its tasks wait."`
	Warnings  []string  `json:"warnings,omitempty" doc:"Sentences: what staff should know of these settings, which are allowed all the same."`
	CreatedAt time.Time `json:"created_at" doc:"When the server was added." example:"2026-11-23T08:15:30Z"`
}

// Folder is a folder of the machine that ADIT runs on.
type Folder struct {
	Versioned
	ID int64 `json:"id" doc:"Number of the node, which stays the same if its name changes." example:"4"`
	FolderSettings
	UsedGB    float64    `json:"used_gb" doc:"What its files take, and running tasks have set aside." example:"312.5"`
	CountedAt *time.Time `json:"counted_at,omitempty" doc:"When its files were last counted; absent: not yet."`
	CreatedAt time.Time  `json:"created_at" doc:"When the folder was added." example:"2026-11-23T08:15:30Z"`
}

// FolderSettings name a folder.
type FolderSettings struct {
	Name string `json:"name" doc:"1 to 64 characters, unique over servers and folders." example:"research"`
	Path string `json:"path" doc:"Absolute path of a directory that exists and that ADIT may write to." example:"/srv/studies"`
	FolderLimits
}

// FolderLimits bound what the files of a folder take. 1 GB = 10⁹ bytes.
type FolderLimits struct {
	QuotaGB float64 `json:"quota_gb,omitempty" minimum:"0" maximum:"10000000" doc:"Gigabytes (10⁹ bytes) beyond which transfers to the folder fail; absent: no quota." example:"500"`
	WarnGB  float64 `json:"warn_gb,omitempty" minimum:"0" maximum:"10000000" doc:"Gigabytes (10⁹ bytes) at which staff gets a mail; absent: never." example:"450"`
}

// FolderChange changes a folder: nil fields stay as they are.
type FolderChange struct {
	QuotaGB *float64 `json:"quota_gb,omitempty" minimum:"0" maximum:"10000000" doc:"Gigabytes (10⁹ bytes) beyond which transfers to the folder fail; 0: no quota; absent: as it is." example:"500"`
	WarnGB  *float64 `json:"warn_gb,omitempty" minimum:"0" maximum:"10000000" doc:"Gigabytes (10⁹ bytes) at which staff gets a mail; 0: never; absent: as it is." example:"450"`
	// Adopt takes what is at the path now for the folder.
	Adopt bool `json:"adopt,omitempty" doc:"What is at the path now is the folder from here on: a new disk, or one that was restored. Its marker file .adit-folder is taken over, or written if there is none. What unfinished tasks had written to the folder before is sent again, if that was another one."`
}

// SelectiveTransfer is the kind of job whose studies a person picks.
const (
	SelectiveTransfer = "selective_transfer"
	BatchQuery        = "batch_query"
	BatchTransfer     = "batch_transfer"
	MassTransferJob   = "mass_transfer"
)

// NewJob is a job to be made.
type NewJob struct {
	Kind              string     `json:"kind" enum:"selective_transfer" doc:"selective_transfer: the studies named go from source to destination."`
	Source            string     `json:"source" doc:"Name of the server that the studies are read from." example:"PACS"`
	Destination       string     `json:"destination" doc:"Name of the server or folder that they go to." example:"research"`
	Project           string     `json:"project,omitempty" doc:"Name of the project whose key and profile pseudonymize; absent: the default project of one's active group." example:"stroke-2026"`
	Pseudonymize      bool       `json:"pseudonymize,omitempty" doc:"Studies without a pseudonym get that of their patient: by the project's linkage table, or one that is made."`
	LeaveOutRejected  *bool      `json:"leave_out_rejected,omitempty" doc:"Leave out the instances that a rejection note of the source names (IHE IOCM: rejected for quality or patient safety, wrong worklist entry, retention expired), and note how many. By default true if some study is de-identified, else false."`
	Studies           []NewStudy `json:"studies" minItems:"1" maxItems:"100000" nullable:"false" doc:"The studies to transfer; each becomes a task."`
	TrialProtocolID   string     `json:"trial_protocol_id,omitempty" doc:"Written into Clinical Trial Protocol ID of each instance; at most 64 characters." example:"STROKE-26"`
	TrialProtocolName string     `json:"trial_protocol_name,omitempty" doc:"Written into Clinical Trial Protocol Name of each instance; at most 64 characters." example:"Stroke imaging"`
	Urgent            bool       `json:"urgent,omitempty" doc:"Before all that is not urgent; needs a permission."`
	OutsideWindows    bool       `json:"outside_windows,omitempty" doc:"Urgent, and runs where the window of a server is closed for jobs, within the default's cap; needs a permission."`
	MailWhenFinished  bool       `json:"mail_when_finished,omitempty" doc:"Send the caller a mail when the job has ended; not by default."`
	ArchivePassword   string     `json:"archive_password,omitempty" writeOnly:"true" doc:"Into a folder: leave one zip file, encrypted with AES-256 under this password, instead of a tree of files; 7-Zip opens it. 12 to 128 characters of ASCII. It is kept encrypted and never shown again." example:"correct horse battery staple"`
}

// NewStudy is a study, or chosen series of it, to be transferred.
type NewStudy struct {
	StudyInstanceUID   string   `json:"study_instance_uid" doc:"Study Instance UID at the source." example:"1.2.826.0.1.3680043.8.498.1"`
	SeriesInstanceUIDs []string `json:"series_instance_uids,omitempty" doc:"Series Instance UIDs of the only series to transfer; absent: all of the study." example:"1.2.826.0.1.3680043.8.498.1.2"`
	PatientID          string   `json:"patient_id,omitempty" doc:"If given, a study of another patient is noted as a warning." example:"PHANTOM-001"`
	Pseudonym          string   `json:"pseudonym,omitempty" minLength:"1" doc:"The study goes out de-identified under it. In a project a patient has one pseudonym, and a pseudonym one patient." example:"SUBJ-001"`
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
	Versioned
	ID                int64      `json:"id" doc:"Number of the job." example:"4711"`
	Kind              string     `json:"kind" enum:"selective_transfer,batch_query,batch_transfer,mass_transfer" doc:"What kind of job it is." example:"selective_transfer"`
	Status            string     `json:"status" enum:"unverified,pending,in_progress,canceling,canceled,success,warning,failure" doc:"How far it is; it follows from the statuses of its tasks." example:"success"`
	Message           string     `json:"message" doc:"How it ended; empty before." example:"All 2 studies were transferred."`
	Owner             string     `json:"owner" doc:"Username of who made it." example:"researcher"`
	Source            string     `json:"source" doc:"Name of the DICOM node that studies are read from." example:"PACS"`
	Destination       string     `json:"destination" doc:"Name of the DICOM node that they go to; empty of a batch query, which moves nothing." example:"research"`
	Project           string     `json:"project" doc:"Name of the project that it belongs to." example:"stroke-2026"`
	Title             string     `json:"title,omitempty" doc:"What it is called, for people; absent if nobody has called it anything." example:"Stroke imaging 2026"`
	Description       string     `json:"description,omitempty" doc:"What it is for." example:"CT within a day of admission"`
	EthicsID          string     `json:"ethics_id,omitempty" doc:"Number of the application to the ethics committee." example:"S-123/2026"`
	FirstJobID        int64      `json:"first_job_id,omitempty" doc:"Of a batch query at several sources: the job of the first one; absent of that itself." example:"4711"`
	RecurrenceID      int64      `json:"recurrence_id,omitempty" doc:"Number of the recurrence that made it; absent: somebody made it by hand, or the recurrence was removed." example:"3"`
	Pseudonymize      bool       `json:"pseudonymize,omitempty" doc:"Studies without a pseudonym get that of their patient."`
	LeaveOutRejected  bool       `json:"leave_out_rejected" doc:"Instances that a rejection note of the source names are left out, and noted."`
	Deidentified      *DeidBy    `json:"deidentified,omitempty" doc:"By what its studies are de-identified; absent if none is."`
	TrialProtocolID   string     `json:"trial_protocol_id,omitempty" doc:"Written into Clinical Trial Protocol ID of each instance; absent: nothing is." example:"STROKE-26"`
	TrialProtocolName string     `json:"trial_protocol_name,omitempty" doc:"Written into Clinical Trial Protocol Name of each instance; absent: nothing is." example:"Stroke imaging"`
	Urgent            bool       `json:"urgent" doc:"Whether it goes before all jobs that are not urgent."`
	OutsideWindows    bool       `json:"outside_windows,omitempty" doc:"Runs where the window of a server is closed for jobs, within the default's cap."`
	Priority          int        `json:"priority" doc:"From 1 to 8; of jobs that are otherwise equal, those with 8 come first." example:"3"`
	Paused            bool       `json:"paused" doc:"Whether it starts no tasks until it is continued."`
	MailWhenFinished  bool       `json:"mail_when_finished" doc:"Whether its owner gets a mail when it has ended."`
	Archive           bool       `json:"archive,omitempty" doc:"Leaves one encrypted archive in its folder instead of a tree of files."`
	Tasks             TaskCounts `json:"tasks" doc:"How many of its tasks are in which status."`
	Expected          int64      `json:"expected" doc:"Instances that the source has of those studies that ADIT has looked up so far, and no rule leaves out." example:"480"`
	Received          int64      `json:"received" doc:"Instances that came from the source." example:"480"`
	Delivered         int64      `json:"delivered" doc:"Instances that the destination acknowledged." example:"480"`
	Bytes             int64      `json:"bytes" doc:"How many bytes the destination has acknowledged." example:"251658240"`
	Rate              *Rate      `json:"rate,omitempty" doc:"How fast it was over the last five minutes; absent unless it runs, and in its first seconds."`
	ReadyAt           *time.Time `json:"ready_at,omitempty" doc:"When it will have ended if it goes on as it did, while its servers are open for jobs. An estimate; absent where nothing can be said, such as for a paused job or before it has shown its pace." example:"2026-11-23T08:42:10Z"`
	WhyWaiting        string     `json:"why_waiting,omitempty" doc:"What keeps most of its pending tasks from starting now; absent if none is pending." example:"DICOM Server PACS is closed for jobs now; window opens at 20:00 on Mon 2026-11-23 (Europe/Berlin)"`
	WaitingUntil      *time.Time `json:"waiting_until,omitempty" doc:"The last of the instants that why_waiting names, for who reads it elsewhere; absent if it names none." example:"2026-11-23T19:00:00Z"`
	CreatedAt         time.Time  `json:"created_at" doc:"When it was made." example:"2026-11-23T08:15:30Z"`
	StartedAt         *time.Time `json:"started_at,omitempty" doc:"When its first task started; absent: not yet." example:"2026-11-23T08:15:30Z"`
	EndedAt           *time.Time `json:"ended_at,omitempty" doc:"When its last task ended; absent: not yet." example:"2026-11-23T08:42:10Z"`
}

// Rate is how fast a job is.
type Rate struct {
	InstancesPerSecond float64 `json:"instances_per_second" doc:"Instances that the destination acknowledged, per second." example:"12.5"`
	BytesPerSecond     float64 `json:"bytes_per_second" doc:"Bytes that the destination acknowledged, per second." example:"6553600"`
}

// DeidBy is the de-identification profile that a job was made with: it stays the same, whatever its project is changed
// to.
type DeidBy struct {
	Profile        string `json:"profile" doc:"Name of the de-identification profile." example:"adit-default"`
	ProfileVersion string `json:"profile_version" doc:"Version of the profile when the job was made." example:"1"`
	ProfileSHA256  string `json:"profile_sha256" doc:"SHA-256 of what the profile said then, in hexadecimal." example:"9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"`
	UIDGeneration  int    `json:"uid_generation" doc:"Generation of the UIDs that the job gives: in another one the same image has other UIDs." example:"1"`
	Manifest       bool   `json:"manifest,omitempty" doc:"Whether it keeps a manifest, which can be had when it has ended."`
}

// Final reports whether a status is a last one, which changes only when somebody acts.
func Final(status string) bool {
	switch status {
	case Canceled, Success, Warning, Failure:
		return true
	}
	return false
}

// TaskCounts are the numbers of a job's tasks by status.
type TaskCounts struct {
	Pending    int `json:"pending" doc:"Tasks that wait." example:"0"`
	InProgress int `json:"in_progress" doc:"Tasks that run now." example:"0"`
	Success    int `json:"success" doc:"Tasks whose instances were all acknowledged by the destination." example:"2"`
	Warning    int `json:"warning" doc:"Tasks that delivered all, with something to be known." example:"0"`
	Failure    int `json:"failure" doc:"Tasks that lack something." example:"0"`
	Canceled   int `json:"canceled" doc:"Tasks that were stopped by a person." example:"0"`
}

// Total is the number of tasks.
func (c TaskCounts) Total() int {
	return c.Pending + c.InProgress + c.Success + c.Warning + c.Failure + c.Canceled
}

// Task is one study on its way.
type Task struct {
	ID                 int64      `json:"id" doc:"Number of the task." example:"1201"`
	JobID              int64      `json:"job_id" doc:"Number of the job that it belongs to." example:"4711"`
	Seq                int        `json:"seq" doc:"Place within the job, from 1." example:"1"`
	Status             string     `json:"status" enum:"pending,in_progress,canceled,success,warning,failure" doc:"How far it is." example:"success"`
	WhyWaiting         string     `json:"why_waiting,omitempty" doc:"Why a pending task does not run now; absent if nothing holds it back." example:"PACS is closed for jobs until 20:00."`
	WaitingUntil       *time.Time `json:"waiting_until,omitempty" doc:"The last of the instants that why_waiting names; absent if it names none." example:"2026-11-23T19:00:00Z"`
	Message            string     `json:"message" doc:"What became of it, and what to do." example:"All 240 images were transferred."`
	Days               string     `json:"days,omitempty" doc:"Of a partition of a mass transfer: the day that it looks through, or the first and the last one with a slash between them; absent of all other tasks." example:"2024-01-17"`
	StudyInstanceUID   string     `json:"study_instance_uid" doc:"Study Instance UID at the source; empty of a task that only asks: a row of a batch query, or a partition of a mass transfer." example:"1.2.826.0.1.3680043.8.498.1"`
	SeriesInstanceUIDs []string   `json:"series_instance_uids,omitempty" doc:"Series Instance UIDs of the chosen series; absent: the whole study." example:"1.2.826.0.1.3680043.8.498.1.2"`
	PatientID          string     `json:"patient_id,omitempty" doc:"Patient ID as it was given with the job; absent if none was, or after it was erased." example:"PHANTOM-001"`
	Pseudonym          string     `json:"pseudonym,omitempty" doc:"As given with the job; to its owner, and to whoever may see the project's linkage table." example:"SUBJ-001"`
	Rows               []int32    `json:"rows,omitempty" doc:"Rows of the file that it was made of; absent if it comes from no file." example:"[17]"`
	Expected           int        `json:"expected" doc:"Instances that the source has and no rule leaves out." example:"240"`
	Received           int        `json:"received" doc:"Instances that came from the source." example:"240"`
	Delivered          int        `json:"delivered" doc:"Instances that the destination acknowledged." example:"240"`
	Verified           int        `json:"verified" doc:"Instances found at the destination afterwards." example:"0"`
	Bytes              int64      `json:"bytes" doc:"How many bytes the destination has acknowledged." example:"125829120"`
	Failures           int        `json:"failures" doc:"Attempts that failed by the task's own fault." example:"0"`
	Waits              int        `json:"waits" doc:"Times that it waited for a server that was not available." example:"0"`
	CreatedAt          time.Time  `json:"created_at" doc:"When it was made, with its job." example:"2026-11-23T08:15:30Z"`
	StartedAt          *time.Time `json:"started_at,omitempty" doc:"When its first run began; absent: not yet." example:"2026-11-23T08:15:30Z"`
	EndedAt            *time.Time `json:"ended_at,omitempty" doc:"When it ended; absent: not yet." example:"2026-11-23T08:42:10Z"`
	Series             []Series   `json:"series,omitempty" doc:"What became of each series; only when a single task is asked for."`
}

// Series is what became of a series of a task.
type Series struct {
	SeriesInstanceUID string            `json:"series_instance_uid" doc:"Series Instance UID at the source." example:"1.2.826.0.1.3680043.8.498.1.2"`
	Expected          int               `json:"expected" doc:"Instances that the source has and no rule leaves out." example:"240"`
	Delivered         int               `json:"delivered" doc:"Instances that the destination acknowledged." example:"239"`
	Verified          int               `json:"verified" doc:"Instances found at the destination afterwards." example:"0"`
	Bytes             int64             `json:"bytes" doc:"How many bytes the destination has acknowledged." example:"125304832"`
	Missing           []MissingInstance `json:"missing" nullable:"false" doc:"Instances that the destination has not acknowledged, and those that are unverified."`
	Truncated         bool              `json:"missing_truncated,omitempty" doc:"More are missing than the list holds."`
}

// MissingInstance is an instance that the source has and the destination did not acknowledge.
type MissingInstance struct {
	SOPInstanceUID string `json:"sop_instance_uid" doc:"SOP Instance UID at the source." example:"1.2.826.0.1.3680043.8.498.1.2.3"`
	Status         string `json:"status,omitempty" doc:"The peer's DICOM status, four hexadecimal digits; absent if it gave none." example:"A700"`
	Reason         string `json:"reason" doc:"Why it is missing." example:"The destination refused it: out of resources."`
}

// LogLine is a line of a task's log.
type LogLine struct {
	At   time.Time `json:"at" doc:"When it happened." example:"2026-11-23T08:15:30Z"`
	Line string    `json:"line" doc:"What happened, in a sentence." example:"PACS was asked for the study by C-MOVE."`
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
	BeginJob    JobAction = "begin"    // Success, Warning, Failure; a dry run of a mass transfer
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
	Items      []T    `json:"items" nullable:"false" doc:"What there is on this page, in the order of the list."`
	NextCursor string `json:"next_cursor,omitempty" doc:"Give it as cursor to get the next page; absent on the last one, and where there are no pages." example:"4711"`
	Truncated  bool   `json:"truncated" doc:"There is more than the items: on the next page, or, of a search, by other criteria or a higher limit."`
}

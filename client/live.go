// SPDX-License-Identifier: AGPL-3.0-or-later

package client

import "time"

// The topics of live events. Those of one job, task, server or search are made by TopicOfJob and the like.
const (
	TopicJobs    = "jobs"    // the jobs that one may see
	TopicServers = "servers" // the servers as they are now
	TopicStats   = "stats"   // figures of the last 30 days
	TopicMe      = "me"      // oneself
)

// LiveRequest is a message of a client over the socket of live events: any of its parts.
type LiveRequest struct {
	Subscribe   []string    `json:"subscribe,omitempty" maxItems:"200" doc:"Topics to be told of from now on: jobs, job:ID, task:ID, servers, server:ID, stats, me. Each begins with its present state (first)." example:"[\"jobs\",\"job:4711\"]"`
	Unsubscribe []string    `json:"unsubscribe,omitempty" maxItems:"200" doc:"Topics to be told of no longer. search:ID ends that search, at the server too." example:"[\"job:4711\"]"`
	Search      *LiveSearch `json:"search,omitempty" doc:"A search to begin. What it finds comes as topic search:ID."`
}

// LiveSearch is a search over the socket of live events. Nobody else sees anything of it, and it ends with the socket.
type LiveSearch struct {
	ID      string      `json:"id" minLength:"1" maxLength:"40" pattern:"^[A-Za-z0-9_-]+$" doc:"The caller's name for the search; of letters, digits, - and _. One that runs under the same name is ended." example:"s1"`
	Server  string      `json:"server" doc:"Name of the server." example:"PACS"`
	Studies *StudyQuery `json:"studies,omitempty" doc:"Which studies are wanted."`
}

// LiveEvent is a message of the server over the socket of live events: a heartbeat, or news of one topic. A topic
// comes at most four times a second, always with its newest state: to who reads slowly some states are not told, the
// last one always is.
type LiveEvent struct {
	Heartbeat *time.Time `json:"heartbeat,omitempty" doc:"A sign of life, every 15 seconds, alone in its event. After 45 seconds without any event the connection is lost." example:"2026-11-23T08:15:30Z"`
	Topic     string     `json:"topic,omitempty" doc:"What the event is about." example:"job:4711"`
	First     bool       `json:"first,omitempty" doc:"The present state, after a subscription: what was known of the topic before is out of date."`
	Ended     *Problem   `json:"ended,omitempty" doc:"Nothing more comes of this topic, and why: it is not there, or is gone, the right to see it was taken away, or the topic can't be understood."`

	Job     *Job       `json:"job,omitempty" doc:"Of job:ID: the job."`
	Task    *Task      `json:"task,omitempty" doc:"Of task:ID: the task, without its series."`
	Tasks   []Task     `json:"tasks,omitempty" doc:"Of job:ID: its tasks that were changed. The first state has none of them: the list of tasks does."`
	Jobs    []Job      `json:"jobs,omitempty" doc:"Of jobs: at first up to 100 jobs that have not ended, newest first; then jobs that were made or changed."`
	Removed []int64    `json:"removed,omitempty" doc:"Of jobs and job:ID: ids of jobs, or of tasks of the job, that are gone." example:"[4712]"`
	Reload  bool       `json:"reload,omitempty" doc:"Of jobs and job:ID: more was changed, or is there, than the event holds. Who shows a list asks for it again."`
	Stats   *Stats     `json:"stats,omitempty" doc:"Of stats: figures of the last 30 days."`
	Me      *Me        `json:"me,omitempty" doc:"Of me: oneself, with groups and permissions."`
	Found   *LiveFound `json:"found,omitempty" doc:"Of search:ID: what came since the last event."`
}

// LiveFound is what a search has found since the last event of it.
type LiveFound struct {
	Studies   []Study `json:"studies,omitempty" doc:"Studies in the order in which the server sent them."`
	Count     int     `json:"count" doc:"How many results have been sent so far, these included." example:"37"`
	Done      bool    `json:"done,omitempty" doc:"The search has ended; nothing more comes of its topic."`
	Truncated bool    `json:"truncated,omitempty" doc:"With done: the server has more than the limit."`
}

// Codes with which the server closes the socket of live events, besides 1001 (ADIT ends; connect again), 1003 (a binary
// message), 1007 (a message that is no LiveRequest), 1009 (a message of more than 16 KiB) and 1013 (too busy, or in
// maintenance; connect again later).
const (
	CloseTooMuch         = 1008 // more topics or messages than are taken
	CloseUnauthenticated = 4401 // the session or token has ended
)

// SPDX-License-Identifier: AGPL-3.0-or-later

package client

import (
	"context"
	"time"
)

// ServerUse is how a server was used over a time, by hour. Hours in which ADIT didn't run are left out.
type ServerUse struct {
	From  time.Time   `json:"from" doc:"The first hour that was asked for."`
	To    time.Time   `json:"to" doc:"The end: the hour that begins then is not shown."`
	Hours []HourOfUse `json:"hours" nullable:"false" doc:"In order; hours in which ADIT didn't run are left out."`
}

// HourOfUse is how a server was used in an hour.
type HourOfUse struct {
	Hour               time.Time `json:"hour" doc:"When it begins; hours are of UTC."`
	BatchAverage       float64   `json:"batch_average" doc:"Associations that jobs had, on average of a look a minute." example:"2.4"`
	BatchMost          int       `json:"batch_most" doc:"The most of them that were seen at once." example:"4"`
	InteractiveAverage float64   `json:"interactive_average" doc:"Associations that searches and checks had, on average." example:"0.1"`
	InteractiveMost    int       `json:"interactive_most" doc:"The most of those that were seen at once." example:"1"`
	From               HourMoved `json:"from" doc:"What was read from the server, by tasks that ended in this hour."`
	To                 HourMoved `json:"to" doc:"What was sent to the server, by tasks that ended in this hour."`
}

// HourMoved is what tasks that ended in an hour had moved.
type HourMoved struct {
	Studies   int64 `json:"studies" doc:"Studies of which at least one instance was delivered." example:"12"`
	Instances int64 `json:"instances" doc:"Delivered ones." example:"2880"`
	Bytes     int64 `json:"bytes" doc:"Of the delivered instances." example:"1509949440"`
}

// Use returns how a server was used in the hours that begin in a time; zero times are the last four weeks until now. It
// is for staff.
func (c Servers) Use(ctx context.Context, server string, from, to time.Time) (ServerUse, error) {
	var use ServerUse
	times := query(map[string]any{"from": from, "to": to})
	return use, c.do(ctx, get("/api/v1/servers/"+escape(server)+"/use", times), &use)
}

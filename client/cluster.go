// SPDX-License-Identifier: AGPL-3.0-or-later

package client

import (
	"context"
	"net/http"
	"time"
)

// What a member of the cluster may be for.
const (
	RoleWeb      = "web"      // serves pages and the API
	RoleWorker   = "worker"   // runs tasks
	RoleReceiver = "receiver" // takes what servers send
)

// Why a member counts no longer.
const (
	EndedLeft     = "left"
	EndedSilent   = "silent"
	EndedReplaced = "replaced"
)

// ClusterMember is a process of ADIT. Some of them may have the same name, one after the other or at once.
type ClusterMember struct {
	ID                string     `json:"id" format:"uuid" doc:"Of the process; another one after each start, and after each time that it lost its leases." example:"0190a6f2-8a51-7c41-9f5c-3c1d0b7e2a44"`
	Name              string     `json:"name" doc:"Of the member: that of its machine, unless it was started with another one." example:"adit1"`
	StartedRoles      []string   `json:"started_roles" enum:"web,worker,receiver" doc:"Roles that it was started with." example:"web,worker,receiver"`
	Roles             []string   `json:"roles" enum:"web,worker,receiver" doc:"Those in effect." example:"web,worker,receiver"`
	Draining          bool       `json:"draining" doc:"Whether it runs no more tasks, because somebody wants that."`
	Version           string     `json:"version" doc:"Version of ADIT." example:"1.4.0"`
	Address           string     `json:"address,omitempty" doc:"Where other members reach it; absent: it is alone." example:"adit1:7201"`
	DataAddress       string     `json:"data_address,omitempty" doc:"Where they bring and fetch instances." example:"adit1:7202"`
	StartedAt         time.Time  `json:"started_at" doc:"When it became a member." example:"2026-11-23T09:00:00Z"`
	Beat              float64    `json:"beat" doc:"Seconds since it last told the database that it is alive." example:"1.4"`
	Tasks             int        `json:"tasks" doc:"Tasks that it runs." example:"3"`
	Workers           int        `json:"workers" doc:"Tasks that it may run at once now." example:"8"`
	ConfiguredWorkers int        `json:"configured_workers" doc:"Tasks that it may run at once unless a schedule, its roles or somebody who drains it says otherwise." example:"8"`
	Associations      int        `json:"associations" doc:"Associations that it has, or may open." example:"6"`
	AnyFolder         bool       `json:"any_folder" doc:"Whether it takes tasks of every folder."`
	Folders           []string   `json:"folders" doc:"Else the folders that it sees, by name." example:"archive"`
	Unreached         string     `json:"unreached,omitempty" doc:"Why the member that answers can't reach it. Absent: it can, or need not." example:"the other side's certificate is not of this cluster"`
	Ended             string     `json:"ended,omitempty" enum:"left,silent,replaced" doc:"Why it counts no longer: left: it ended in order; silent: it did not tell the database for a whole lease that it is alive, and others took over its tasks; replaced: another process was started in its data directory. Absent: it counts." example:"left"`
	EndedAt           *time.Time `json:"ended_at,omitempty" doc:"Since when. It is shown for an hour." example:"2026-11-23T10:00:00Z"`
}

// MemberSettings are what people want of the members of a name, now and after each start.
type MemberSettings struct {
	Name     string   `json:"name" doc:"Of the members." example:"adit1"`
	Draining bool     `json:"draining" doc:"Whether they run no more tasks."`
	Roles    []string `json:"roles" enum:"web,worker,receiver" doc:"Of those that they were started with; none named: all of them." example:"web"`
}

// MemberChange changes what people want of the members of a name.
type MemberChange struct {
	Roles []string `json:"roles" maxItems:"3" enum:"web,worker,receiver" doc:"Of those that they were started with; none named: all of them." example:"web"`
}

// Members lists the members of the cluster, with those that ended within the last hour. It is for staff.
func (c Cluster) Members(ctx context.Context) ([]ClusterMember, error) {
	var page Page[ClusterMember]
	err := c.do(ctx, get(membersPath, nil), &page)
	return page.Items, err
}

// Drain has the members of a name run no more tasks: those that run stop as when a window closes, and go on elsewhere.
// It is for staff.
func (c Cluster) Drain(ctx context.Context, name string) (MemberSettings, error) {
	return c.act(ctx, name, "drain")
}

// Resume lets them run tasks again. It is for staff.
func (c Cluster) Resume(ctx context.Context, name string) (MemberSettings, error) {
	return c.act(ctx, name, "resume")
}

func (c Cluster) act(ctx context.Context, name, action string) (MemberSettings, error) {
	var out MemberSettings
	return out, c.do(ctx, request{
		method: http.MethodPost, path: membersPath + "/" + escape(name) + ":" + action,
		repeatable: true, // what is so already stays so
	}, &out)
}

// SetRoles has the members of a name do no more than some of the roles that they were started with; none named: all of
// them. It is for staff.
func (c Cluster) SetRoles(ctx context.Context, name string, roles ...string) (MemberSettings, error) {
	var out MemberSettings
	return out, c.do(ctx, patch(membersPath+"/"+escape(name), MemberChange{append([]string{}, roles...)}), &out)
}

const membersPath = "/api/v1/cluster/members"

// SPDX-License-Identifier: AGPL-3.0-or-later

package api

import (
	"context"
	"math"
	"net/http"

	"github.com/adit-go/adit/client"
	"github.com/adit-go/adit/engine/lease"
	"github.com/adit-go/adit/http/route"
	"github.com/adit-go/adit/people"
)

// clusterRoutes are the routes of this file.
type clusterRoutes struct{ *API }

const clusterTag = "Cluster"

func (a *clusterRoutes) register() {
	route.Handle(a.routes, route.Operation{
		Method: http.MethodGet, Path: "/cluster/members", ID: "list-cluster-members", Tag: clusterTag,
		Summary: "List the members of the cluster",
		Description: "Shows every process of ADIT that shares the database: what it is for, how much it does, and when " +
			"it last said that it is alive. Of each name the last one that ended within the last hour is shown, too. " +
			"There are no pages.",
	}, a.listMembers)
	for _, action := range []struct {
		name, summary, description string
		draining                   bool
	}{
		{
			"drain", "Drain a member",
			"The members of a name claim no more tasks, now and after each start. Their running tasks stop as when a " +
				"window closes, and go on at other members. They still serve people, and take what servers send, " +
				"unless their roles say otherwise.", true,
		},
		{
			"resume", "Resume a drained member", "The members of a name run tasks again.", false,
		},
	} {
		route.Handle(a.routes, route.Operation{
			Method: http.MethodPost, Path: "/cluster/members/{member}:" + action.name, ID: action.name + "-member",
			Summary: action.summary, Tag: clusterTag, Errors: []int{404},
			Description: action.description + " It succeeds also if nothing changes.",
		}, func(ctx context.Context, user people.User, in *WorkerMember) (*route.Body[client.MemberSettings], error) {
			return memberSettings(a.engine.Lease.Drain(ctx, user, in.Member, action.draining))
		})
	}
	route.Handle(a.routes, route.Operation{
		Method: http.MethodPatch, Path: "/cluster/members/{member}", ID: "change-member", Tag: clusterTag,
		Summary: "Change the roles of a member", Errors: []int{404, 409},
		Description: "Says which of the roles that they were started with the members of a name have, now and after " +
			"each start. No role is taken away without which nobody could reach ADIT any more (409).",
		Example: `{"roles": ["worker", "receiver"]}`,
	}, func(ctx context.Context, user people.User, in *struct {
		WorkerMember
		Body client.MemberChange
	},
	) (*route.Body[client.MemberSettings], error) {
		return memberSettings(a.engine.Lease.SetRoles(ctx, user, in.Member, in.Body.Roles))
	})
}

func (a *clusterRoutes) listMembers(ctx context.Context, user people.User, _ *struct{}) (
	*route.Body[client.Page[client.ClusterMember]], error,
) {
	list, err := a.engine.Lease.Members(ctx, user)
	if err != nil {
		return nil, err
	}
	out := client.Page[client.ClusterMember]{Items: make([]client.ClusterMember, len(list))}
	for i, m := range list {
		out.Items[i] = client.ClusterMember{
			ID: m.ID.String(), Name: m.Name, StartedRoles: m.Started, Roles: m.Roles, Draining: m.Draining,
			Version: m.Version, Address: m.ActorAddr, DataAddress: m.DataAddr, StartedAt: m.StartedAt,
			Beat: math.Round(m.Beat.Seconds()*10) / 10, Tasks: m.Tasks, Workers: m.Workers,
			ConfiguredWorkers: m.Configured, Associations: m.Slots, AnyFolder: m.AnyFolder,
			Folders: append([]string{}, m.Folders...), Ended: m.Ended, EndedAt: m.EndedAt, Unreached: m.Unreached,
		}
	}
	return route.Answer(out), nil
}

func memberSettings(s lease.MemberSettings, err error) (*route.Body[client.MemberSettings], error) {
	if err != nil {
		return nil, err
	}
	return route.Answer(client.MemberSettings{
		Name: s.Name, Draining: s.Draining, Roles: append([]string{}, s.Roles...),
	}), nil
}

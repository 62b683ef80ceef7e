// SPDX-License-Identifier: AGPL-3.0-or-later

package api

import (
	"context"
	"net/http"

	"github.com/adit-go/adit/client"
	"github.com/adit-go/adit/engine/quarantine"
	"github.com/adit-go/adit/http/route"
	"github.com/adit-go/adit/http/view"
	"github.com/adit-go/adit/people"
)

// quarantineRoutes are the routes of this file.
type quarantineRoutes struct{ *API }

const quarantineTag = "Quarantine"

// QuarantineID names an object in a path.
type QuarantineID struct {
	ID int64 `path:"id" minimum:"1" doc:"Number of the instance in the quarantine." example:"31"`
}

type listQuarantine struct {
	route.Paging
	Server string `query:"server" maxLength:"255" example:"PACS" doc:"Only what this server sent."`
}

func (a *quarantineRoutes) register() {
	route.Handle(a.routes, route.Operation{
		Method: http.MethodGet, Path: "/unsolicited-instances",
		ID: "list-unsolicited-instances", Tag: quarantineTag, Errors: []int{403},
		Summary: "List senders of unasked instances",
		Description: "Counts, by day and sender, the instances that reached the receiver although ADIT had not " +
			"asked for them. ADIT refuses them, and keeps some in the quarantine.",
	}, a.listUnsolicited)
	route.Handle(a.routes, route.Operation{
		Method: http.MethodGet, Path: "/quarantine", ID: "list-quarantine", Tag: quarantineTag, Errors: []int{403},
		Summary: "List the quarantine",
		Description: "Shows the instances that arrived unasked and were kept, newest first, without anything that " +
			"identifies a patient.",
	}, a.listQuarantine)
	route.Handle(a.routes, route.Operation{
		Method: http.MethodGet, Path: "/quarantine/{id}",
		ID: "get-quarantined", Tag: quarantineTag, Errors: []int{403, 404},
		Summary: "Get an instance of the quarantine",
		Description: "Shows one instance with what its header says of the patient and the study. In a cluster the " +
			"file may be on the disk of another member; `here` tells whether that one is there.",
	}, a.getQuarantined)
	route.Handle(a.routes, route.Operation{
		Method: http.MethodDelete, Path: "/quarantine/{id}", ID: "delete-quarantined",
		Tag: quarantineTag, Errors: []int{404}, Status: http.StatusNoContent,
		Summary:     "Delete an instance of the quarantine",
		Description: "Removes the file for good.",
	}, func(ctx context.Context, user people.User, in *QuarantineID) (*route.None, error) {
		return nil, a.engine.Quarantine.DeleteQuarantined(ctx, user, in.ID)
	})
	route.Handle(a.routes, route.Operation{
		Method: http.MethodPost, Path: "/quarantine/{id}:release",
		ID: "release-quarantined", Tag: quarantineTag, Errors: []int{404, 409},
		Status: http.StatusNoContent, Timeout: route.Patient,
		Summary: "Send an instance of the quarantine to a server",
		Description: "Sends the instance as it came, and deletes it here once the server has acknowledged it. If " +
			"the server refuses, it stays in the quarantine.",
		Example: `{"destination": "PACS"}`,
	}, func(ctx context.Context, user people.User, in *struct {
		QuarantineID
		Body client.Release
	},
	) (*route.None, error) {
		return nil, a.engine.Quarantine.ReleaseQuarantined(ctx, user, in.ID, in.Body.Destination)
	})
}

func (a *quarantineRoutes) listUnsolicited(ctx context.Context, user people.User, in *route.Paging) (
	*route.Body[client.Page[client.UnsolicitedInstances]], error,
) {
	below, err := in.After()
	if err != nil {
		return nil, err
	}
	rows, err := a.engine.Quarantine.UnsolicitedCounts(ctx, user, below, in.Limit+1)
	if err != nil {
		return nil, err
	}
	return route.PageOf(rows, in.Limit, func(f quarantine.UnsolicitedCount) client.UnsolicitedInstances {
		return client.UnsolicitedInstances{
			ID: f.ID, Server: f.Server, CallingAE: f.CallingAe, Address: f.Address,
			SOPClassUID: f.SopClassUid, Instances: f.Instances,
			Quarantined: f.Quarantined, First: f.FirstAt, Last: f.LastAt,
		}
	}, func(f quarantine.UnsolicitedCount) int64 { return f.ID }), nil
}

func (a *quarantineRoutes) listQuarantine(ctx context.Context, user people.User, in *listQuarantine) (
	*route.Body[client.Page[client.QuarantinedObject]], error,
) {
	below, err := in.After()
	if err != nil {
		return nil, err
	}
	rows, err := a.engine.Quarantine.Quarantined(ctx, user, in.Server, below, in.Limit+1)
	if err != nil {
		return nil, err
	}
	return route.PageOf(rows, in.Limit, view.Quarantined, func(q quarantine.Quarantined) int64 { return q.ID }), nil
}

func (a *quarantineRoutes) getQuarantined(ctx context.Context, user people.User, in *QuarantineID) (
	*route.Body[client.QuarantinedObject], error,
) {
	q, err := a.engine.Quarantine.QuarantinedObject(ctx, user, in.ID)
	if err != nil {
		return nil, err
	}
	out := view.Quarantined(q)
	if q.Here {
		out.Object = &client.ObjectDescription{
			PatientID: q.PatientID, PatientName: q.PatientName,
			PatientBirthDate: q.PatientBirthDate, AccessionNumber: q.AccessionNumber,
			StudyInstanceUID: q.StudyInstanceUID, StudyDate: q.StudyDate, StudyDescription: q.StudyDescription,
			SeriesInstanceUID: q.SeriesInstanceUID, Modality: q.Modality,
		}
	}
	return route.Answer(out), nil
}

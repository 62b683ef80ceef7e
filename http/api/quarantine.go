// SPDX-License-Identifier: AGPL-3.0-or-later

package api

import (
	"context"
	"net/http"

	"github.com/adit-go/adit/client"
	"github.com/adit-go/adit/engine"
	"github.com/adit-go/adit/people"
)

const quarantineTag = "Quarantine"

// QuarantineID names an object in a path.
type QuarantineID struct {
	ID int64 `path:"id" minimum:"1"`
}

func (a *API) registerQuarantine() {
	handle(a, operation{
		method: http.MethodGet, path: "/foreign-objects", id: "list-foreign-objects", tag: quarantineTag, errors: []int{400, 403},
		summary: "List how many objects came to the receiver without having been asked for: from whom, from where and when (staff)",
	}, a.listForeign)
	handle(a, operation{
		method: http.MethodGet, path: "/quarantine", id: "list-quarantine", tag: quarantineTag, errors: []int{400, 403},
		summary: "List those that are kept (staff, with a permission of its own)",
	}, a.listQuarantine)
	handle(a, operation{
		method: http.MethodGet, path: "/quarantine/{id}", id: "get-quarantined", tag: quarantineTag, errors: []int{403, 404},
		summary: "Get one of them, with what it says of itself",
	}, a.getQuarantined)
	handle(a, operation{
		method: http.MethodDelete, path: "/quarantine/{id}", id: "delete-quarantined", tag: quarantineTag, errors: []int{403, 404}, status: http.StatusNoContent,
		summary: "Delete one of them",
	}, func(ctx context.Context, user people.User, in *QuarantineID) (*none, error) {
		return nil, a.engine.DeleteQuarantined(ctx, user, in.ID)
	})
	handle(a, operation{
		method: http.MethodPost, path: "/quarantine/{id}:release", id: "release-quarantined", tag: quarantineTag, errors: []int{400, 403, 404, 409},
		status: http.StatusNoContent, timeout: patient,
		summary: "Send one of them to a server as it came, and delete it when that has acknowledged it",
	}, func(ctx context.Context, user people.User, in *struct {
		QuarantineID
		Body client.Release
	},
	) (*none, error) {
		return nil, a.engine.ReleaseQuarantined(ctx, user, in.ID, in.Body.Destination)
	})
}

func (a *API) listForeign(ctx context.Context, user people.User, in *Paging) (*body[client.Page[client.ForeignObjects]], error) {
	below, err := in.after()
	if err != nil {
		return nil, err
	}
	rows, err := a.engine.ForeignCounts(ctx, user, below, in.Limit+1)
	if err != nil {
		return nil, err
	}
	return pageOf(rows, in.Limit, func(f engine.ForeignCount) client.ForeignObjects {
		return client.ForeignObjects{
			ID: f.ID, Server: f.Server, CallingAE: f.CallingAe, Address: f.Address, SOPClassUID: f.SopClassUid, Objects: f.Objects,
			Quarantined: f.Quarantined, First: f.FirstAt, Last: f.LastAt,
		}
	}, func(f engine.ForeignCount) int64 { return f.ID }), nil
}

func (a *API) listQuarantine(ctx context.Context, user people.User, in *Paging) (*body[client.Page[client.QuarantinedObject]], error) {
	below, err := in.after()
	if err != nil {
		return nil, err
	}
	rows, err := a.engine.Quarantined(ctx, user, below, in.Limit+1)
	if err != nil {
		return nil, err
	}
	return pageOf(rows, in.Limit, clientQuarantined, func(q engine.Quarantined) int64 { return q.ID }), nil
}

func clientQuarantined(q engine.Quarantined) client.QuarantinedObject {
	return client.QuarantinedObject{
		ID: q.ID, Server: q.Server, CallingAE: q.CallingAe, Address: q.Address, SOPClassUID: q.SopClassUid, SOPInstanceUID: q.SopInstanceUid,
		TransferSyntaxUID: q.TransferSyntaxUid, Bytes: q.Bytes, ArrivedAt: q.ArrivedAt, Here: q.Here,
	}
}

func (a *API) getQuarantined(ctx context.Context, user people.User, in *QuarantineID) (*body[client.QuarantinedObject], error) {
	q, err := a.engine.QuarantinedObject(ctx, user, in.ID)
	if err != nil {
		return nil, err
	}
	out := clientQuarantined(q)
	if q.Here {
		out.Object = &client.ObjectDescription{
			PatientID: q.PatientID, PatientName: q.PatientName, PatientBirthDate: q.PatientBirthDate, AccessionNumber: q.AccessionNumber,
			StudyInstanceUID: q.StudyInstanceUID, StudyDate: q.StudyDate, StudyDescription: q.StudyDescription,
			SeriesInstanceUID: q.SeriesInstanceUID, Modality: q.Modality,
		}
	}
	return &body[client.QuarantinedObject]{out}, nil
}

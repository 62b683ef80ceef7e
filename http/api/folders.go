// SPDX-License-Identifier: AGPL-3.0-or-later

package api

import (
	"context"
	"net/http"

	"github.com/adit-go/adit/client"
	"github.com/adit-go/adit/engine"
	"github.com/adit-go/adit/people"
)

func (a *API) registerFolders() {
	handle(a, operation{method: http.MethodGet, path: "/folders", id: "list-folders", summary: "List folders (staff)", tag: nodesTag}, a.listFolders)
	handle(a, operation{
		method: http.MethodPost, path: "/folders", id: "add-folder", summary: "Add a folder", tag: nodesTag,
		status: http.StatusCreated, errors: []int{400, 403, 409, 413},
	}, a.addFolder)
	handle(a, operation{
		method: http.MethodGet, path: "/folders/{name}", id: "get-folder", summary: "Get a folder with its limits (staff)", tag: nodesTag, errors: []int{404},
	}, func(ctx context.Context, _ people.User, in *NodeName) (*body[client.Folder], error) {
		n, err := a.nodeOfKind(ctx, in.Name, client.KindFolder)
		if err != nil {
			return nil, err
		}
		return &body[client.Folder]{clientFolder(n)}, nil
	})
	handle(a, operation{
		method: http.MethodDelete, path: "/folders/{name}", id: "delete-folder", summary: "Remove a folder that no job names (staff)", tag: nodesTag,
		status: http.StatusNoContent, errors: []int{404, 409},
	}, a.deleteNode(client.KindFolder))
	handle(a, operation{
		method: http.MethodPatch, path: "/folders/{name}", id: "change-folder", summary: "Change the limits of a folder, or adopt a new disk (staff)", tag: nodesTag,
		errors: []int{400, 403, 404, 409, 413},
	}, a.changeFolder)
}

func (a *API) listFolders(ctx context.Context, _ people.User, in *Paging) (*body[client.Page[client.Folder]], error) {
	nodes, err := a.nodesWhere(ctx, in, func(n engine.DICOMNode) bool { return n.Folder != nil })
	if err != nil {
		return nil, err
	}
	return pageOf(nodes, in.Limit, clientFolder, nodeKey), nil
}

func (a *API) addFolder(ctx context.Context, user people.User, in *struct{ Body client.FolderSettings }) (*created[client.Folder], error) {
	n, err := a.engine.AddFolder(ctx, user, engine.NewFolder{
		Name: in.Body.Name, Path: in.Body.Path, FolderLimits: engine.FolderLimits(in.Body.FolderLimits),
	})
	if err != nil {
		return nil, err
	}
	return madeAt("/folders", n.Name, clientFolder(n)), nil
}

func (a *API) changeFolder(ctx context.Context, user people.User, in *struct {
	NodeName
	Body client.FolderChange
},
) (*body[client.Folder], error) {
	n, err := a.engine.ChangeFolder(ctx, user, in.Name, func(l *engine.FolderLimits) {
		set(&l.QuotaGB, in.Body.QuotaGB)
		set(&l.WarnGB, in.Body.WarnGB)
	})
	if err == nil && in.Body.Adopt {
		n, err = a.engine.AdoptFolder(ctx, user, in.Name)
	}
	if err != nil {
		return nil, err
	}
	return &body[client.Folder]{clientFolder(n)}, nil
}

func clientFolder(n engine.DICOMNode) client.Folder {
	return client.Folder{
		ID: n.ID, CreatedAt: n.CreatedAt, UsedGB: float64(n.Usage.Bytes) / 1e9, CountedAt: n.Usage.MeasuredAt,
		FolderSettings: client.FolderSettings{
			Name: n.Name, Path: n.Folder.Path, FolderLimits: client.FolderLimits{QuotaGB: n.Folder.QuotaGb, WarnGB: n.Folder.WarnGb},
		},
	}
}

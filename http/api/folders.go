// SPDX-License-Identifier: AGPL-3.0-or-later

package api

import (
	"context"
	"net/http"

	"github.com/adit-go/adit/client"
	"github.com/adit-go/adit/engine/nodes"
	"github.com/adit-go/adit/people"
)

// foldersRoutes are the routes of this file.
type foldersRoutes struct{ *API }

func (a *foldersRoutes) register() {
	handle(a.API, operation{
		method: http.MethodGet, path: "/folders", id: "list-folders",
		summary: "List folders with their limits", tag: nodesTag,
		description: "Shows the folders that transfers write to, with their paths, quotas and the space that they " +
			"use. For names alone, or as a user without staff rights, use `GET /nodes`.",
	}, a.listFolders)
	handle(a.API, operation{
		method: http.MethodPost, path: "/folders", id: "add-folder", summary: "Add a folder", tag: nodesTag,
		status: http.StatusCreated, errors: []int{409},
		description: "Makes a directory of the machine a destination for transfers. It has to exist and to be " +
			"writable; ADIT puts a marker file into it, so that an empty mount point is not mistaken for it. " +
			"Nobody may send to it until a group gets access (`PUT /access`).",
		example: `{"name": "research", "path": "/srv/studies", "quota_gb": 500, "warn_gb": 450}`,
	}, a.addFolder)
	handle(a.API, operation{
		method: http.MethodGet, path: "/folders/{name}", id: "get-folder", editable: true,
		summary:     "Get a folder with its limits",
		description: "Shows a folder with its path, quota and the space that it uses.", tag: nodesTag, errors: []int{404},
	}, func(ctx context.Context, _ people.User, in *getNode) (*current[client.Folder], error) {
		n, err := a.nodeOfKind(ctx, in.Name, client.KindFolder)
		if err != nil {
			return nil, err
		}
		return unlessKnown(in.IfNoneMatch, n.Version(), clientFolder(n)), nil
	})
	handle(a.API, operation{
		method: http.MethodDelete, path: "/folders/{name}", id: "delete-folder", editable: true,
		summary: "Remove a folder from ADIT", tag: nodesTag,
		status: http.StatusNoContent, errors: []int{404, 409},
		description: "Takes a folder out of ADIT's list; its files stay where they are. A folder that a job names " +
			"can't be removed (409).",
	}, a.deleteNode(client.KindFolder))
	handle(a.API, operation{
		method: http.MethodPatch, path: "/folders/{name}", id: "change-folder", editable: true,
		summary: "Change the limits of a folder, or adopt a new disk", tag: nodesTag,
		errors: []int{404, 409},
		description: "Changes the properties that are given and leaves the others. With `adopt` the directory that " +
			"is at the path now becomes the folder: use it after a disk was replaced or restored.",
		example: `{"quota_gb": 800}`,
	}, a.changeFolder)
}

func (a *foldersRoutes) listFolders(ctx context.Context, user people.User, in *NamedList) (
	*body[client.Page[client.Folder]], error,
) {
	return listNodesOf(ctx, a.API, user, *in, nodes.Filter{Kind: client.KindFolder}, clientFolder)
}

func (a *foldersRoutes) addFolder(
	ctx context.Context, user people.User, in *struct{ Body client.FolderSettings },
) (*created[client.Folder], error) {
	n, err := a.engine.Nodes.AddFolder(ctx, user, nodes.NewFolder{
		Name: in.Body.Name, Path: in.Body.Path, FolderLimits: nodes.FolderLimits(in.Body.FolderLimits),
	})
	if err != nil {
		return nil, err
	}
	return madeAt("/folders", n.Name, clientFolder(n)), nil
}

func (a *foldersRoutes) changeFolder(ctx context.Context, user people.User, in *struct {
	NodeName
	IfMatch
	Body client.FolderChange
},
) (*changed[client.Folder], error) {
	var n nodes.DICOMNode
	var err error
	if in.Body.Adopt { // first, as it may be refused
		n, err = a.engine.Nodes.AdoptFolder(ctx, user, in.Name)
	}
	if limits := in.Body.QuotaGB != nil || in.Body.WarnGB != nil; err == nil && (limits || !in.Body.Adopt) {
		n, err = a.engine.Nodes.ChangeFolder(ctx, user, in.Name, func(l *nodes.FolderLimits) {
			set(&l.QuotaGB, in.Body.QuotaGB)
			set(&l.WarnGB, in.Body.WarnGB)
		})
	}
	if err != nil {
		return nil, err
	}
	return &changed[client.Folder]{n.Version(), clientFolder(n)}, nil
}

func clientFolder(n nodes.DICOMNode) client.Folder {
	return client.Folder{
		ID: n.ID, CreatedAt: n.CreatedAt, UsedGB: float64(n.Usage.Bytes) / 1e9, CountedAt: n.Usage.MeasuredAt,
		FolderSettings: client.FolderSettings{
			Name: n.Name, Path: n.Folder.Path,
			FolderLimits: client.FolderLimits{QuotaGB: n.Folder.QuotaGb, WarnGB: n.Folder.WarnGb},
		},
	}
}

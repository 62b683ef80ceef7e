// SPDX-License-Identifier: AGPL-3.0-or-later

package api

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"net/http"

	"github.com/adit-go/adit/client"
	"github.com/adit-go/adit/engine"
	"github.com/adit-go/adit/people"
)

const (
	linkageTag  = "Linkage tables"
	linkageBody = 24 << 20 // 200,000 rows
)

type listLinkage struct {
	ProjectName
	Cursor    string `query:"cursor" maxLength:"1000" doc:"next_cursor of the page before; absent for the first one."`
	Limit     int    `query:"limit" minimum:"1" maximum:"500" default:"50" doc:"Most items on this page."`
	Pseudonym string `query:"pseudonym" maxLength:"64" doc:"Exact."`
	PatientID string `query:"patient_id" maxLength:"64" doc:"Exact."`
}

func (a *API) registerLinkage() {
	handle(a, operation{
		method: http.MethodGet, path: "/projects/{name}/linkage", id: "list-linkage", tag: linkageTag, errors: []int{403, 404},
		summary: "List who is behind the pseudonyms of a project; needs a permission of its own",
	}, a.listLinkage)
	handle(a, operation{
		method: http.MethodGet, path: "/projects/{name}/linkage:export", id: "export-linkage", tag: linkageTag, errors: []int{403, 404}, csv: true,
		summary: "The linkage table of a project as CSV, as an import takes it",
	}, func(ctx context.Context, user people.User, in *ProjectName) (*table, error) {
		write, err := a.engine.ExportLinkage(ctx, user, in.Name)
		if err != nil {
			return nil, err
		}
		return asTable("linkage.csv", write), nil //nolint:contextcheck // it is written when the handler has returned, with the context of the request
	})
	handle(a, operation{
		method: http.MethodPost, path: "/projects/{name}/linkage:import", id: "import-linkage", tag: linkageTag, errors: []int{403, 404, 409, 413},
		body: linkageBody, timeout: 2 * quick, raw: true,
		summary: "Add the pairs of a table in CSV (Pseudonym, PatientID and, if wanted, Issuer): all, or none if a row is faulty",
	}, a.importLinkage)
}

func (a *API) listLinkage(ctx context.Context, user people.User, in *listLinkage) (*body[client.Page[client.Link]], error) {
	if err := plainText(map[string]string{"pseudonym": in.Pseudonym, "patient_id": in.PatientID}); err != nil {
		return nil, err
	}
	f := engine.LinkFilter{Pseudonym: in.Pseudonym, PatientID: in.PatientID, Limit: in.Limit + 1}
	if in.Cursor != "" {
		var after [2]string
		text, err := base64.RawURLEncoding.DecodeString(in.Cursor)
		if err != nil || json.Unmarshal(text, &after) != nil || plainText(map[string]string{"cursor": after[0] + after[1]}) != nil {
			return nil, &engine.Invalid{Field: "cursor", Reason: "this is not a next_cursor of a list; start without a cursor"}
		}
		f.AfterTrial, f.AfterPseudonym = after[0], after[1]
	}
	links, err := a.engine.Linkage(ctx, user, in.Name, f)
	if err != nil {
		return nil, err
	}
	out := client.Page[client.Link]{Items: make([]client.Link, 0, len(links))}
	for i, l := range links {
		if i == in.Limit {
			last := links[i-1]
			text, err := json.Marshal([2]string{last.TrialProtocolID, last.Pseudonym})
			if err != nil {
				return nil, err
			}
			out.NextCursor, out.Truncated = base64.RawURLEncoding.EncodeToString(text), true
			break
		}
		out.Items = append(out.Items, client.Link(l))
	}
	return &body[client.Page[client.Link]]{out}, nil
}

func (a *API) importLinkage(ctx context.Context, user people.User, in *struct {
	ProjectName
	Issuer  string `query:"issuer" maxLength:"64" doc:"Issuer of the Patient IDs of rows that name none."`
	DryRun  bool   `query:"dry_run" doc:"Only check the table."`
	RawBody []byte `contentType:"text/csv"`
},
) (*body[client.LinkageImport], error) {
	result, err := a.engine.ImportLinkage(ctx, user, in.Name, in.RawBody, engine.LinkageImport{Issuer: in.Issuer, DryRun: in.DryRun})
	if err != nil {
		return nil, err
	}
	return &body[client.LinkageImport]{client.LinkageImport{
		Added: result.Added, Present: result.Present, OtherThanSalt: result.OtherThanSalt, DryRun: in.DryRun,
	}}, nil
}

// SPDX-License-Identifier: AGPL-3.0-or-later

package api

import (
	"context"
	"iter"
	"net/http"

	"github.com/adit-go/adit/client"
	"github.com/adit-go/adit/http/route"
	"github.com/adit-go/adit/http/view"
	"github.com/adit-go/adit/people"
)

// studiesRoutes are the routes of this file.
type studiesRoutes struct{ *API }

const searchTag = "Search"

func (a *studiesRoutes) register() {
	route.Handle(a.routes, route.Operation{
		Method: http.MethodPost, Path: "/servers/{name}/studies:search", ID: "search-studies", Tag: searchTag,
		Timeout: route.Patient, Errors: []int{404, 502},
		Summary: "Search a server for studies",
		Description: "Asks a DICOM server by C-FIND and answers with what it has. Give at least one criterion. " +
			"There are no pages: `truncated` tells that the limit cut the answer, and a narrower search shows the " +
			"rest. The criteria travel in the body, so that no log of addresses holds a patient's value.",
		Example: `{"patient_id": "PHANTOM-001", "modality": "CT,MR"}`,
	}, func(ctx context.Context, user people.User, in *struct {
		NodeName
		Body client.StudyQuery
	},
	) (*route.Body[client.Page[client.Study]], error) {
		var cut bool
		found := a.engine.Query.Studies(ctx, user, in.Name, view.StudySearch(in.Body, &cut))
		return allFound(found, &cut, view.Study)
	})
	route.Handle(a.routes, route.Operation{
		Method: http.MethodPost, Path: "/servers/{name}/series:search", ID: "search-series", Tag: searchTag,
		Timeout: route.Patient, Errors: []int{404, 502},
		Summary: "Search a server for the series of a study",
		Description: "Asks a DICOM server by C-FIND for the series of one study and answers with what it has, in its " +
			"order; nothing if it doesn't have the study. There are no pages: `truncated` tells that the limit cut the " +
			"answer.",
		Example: `{"study_instance_uid": "1.2.826.0.1.3680043.8.498.1"}`,
	}, func(ctx context.Context, user people.User, in *struct {
		NodeName
		Body client.SeriesQuery
	},
	) (*route.Body[client.Page[client.FoundSeries]], error) {
		var cut bool
		found := a.engine.Query.Series(ctx, user, in.Name, view.SeriesSearch(in.Body, &cut))
		return allFound(found, &cut, view.FoundSeries)
	})
	route.Handle(a.routes, route.Operation{
		Method: http.MethodPost, Path: "/servers/{name}/instances:search", ID: "search-instances", Tag: searchTag,
		Timeout: route.Patient, Errors: []int{404, 502},
		Summary: "Search a server for the instances of a series",
		Description: "Asks a DICOM server by C-FIND for the instances of one series and answers with what it has, in " +
			"its order. There are no pages: `truncated` tells that the limit cut the answer. A server whose settings " +
			"say that it can't be searched for single instances is not asked (422).",
		Example: `{"study_instance_uid": "1.2.826.0.1.3680043.8.498.1", "series_instance_uid": "1.2.826.0.1.3680043.8.498.2"}`,
	}, func(ctx context.Context, user people.User, in *struct {
		NodeName
		Body client.InstanceQuery
	},
	) (*route.Body[client.Page[client.FoundInstance]], error) {
		var cut bool
		found := a.engine.Query.Instances(ctx, user, in.Name, view.InstanceSearch(in.Body, &cut))
		return allFound(found, &cut, view.FoundInstance)
	})
}

// allFound collects what a search yields; cut is set by then if the limit has cut it.
func allFound[E, C any](found iter.Seq2[E, error], cut *bool, convert func(E) C) (*route.Body[client.Page[C]], error) {
	out := client.Page[C]{Items: []C{}}
	for item, err := range found {
		if err != nil {
			return nil, err
		}
		out.Items = append(out.Items, convert(item))
	}
	out.Truncated = *cut
	return route.Answer(out), nil
}

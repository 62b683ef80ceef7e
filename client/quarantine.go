// SPDX-License-Identifier: AGPL-3.0-or-later

package client

import (
	"context"
	"fmt"
	"iter"
	"net/http"
	"time"
)

// ForeignObjects is how many objects of a class somebody sent on a day without having been asked. They were refused.
type ForeignObjects struct {
	ID          int64     `json:"id"`
	Server      string    `json:"server" doc:"Name of the server that calls under this AE title."`
	CallingAE   string    `json:"calling_ae" doc:"Empty where too many callers were counted together."`
	Address     string    `json:"address" doc:"From which it called; the server's host where it sent the objects by C-GET."`
	SOPClassUID string    `json:"sop_class_uid" doc:"\"not a UID\" for those whose SOP class or instance was named by none."`
	Objects     int64     `json:"objects"`
	Quarantined int64     `json:"quarantined" doc:"Of them, those that are or were in the quarantine."`
	First       time.Time `json:"first"`
	Last        time.Time `json:"last"`
}

// QuarantinedObject is an object that nobody had asked for, and that is kept for people to look at.
type QuarantinedObject struct {
	ID                int64     `json:"id"`
	Server            string    `json:"server" doc:"Name of the server that calls under this AE title."`
	CallingAE         string    `json:"calling_ae"`
	Address           string    `json:"address" doc:"From which it called."`
	SOPClassUID       string    `json:"sop_class_uid"`
	SOPInstanceUID    string    `json:"sop_instance_uid"`
	TransferSyntaxUID string    `json:"transfer_syntax_uid"`
	Bytes             int64     `json:"bytes"`
	ArrivedAt         time.Time `json:"arrived_at"`
	Here              bool      `json:"here" doc:"Its file is kept by the node that answers: only there it can be shown and released."`
	// Object is what the object says of itself; only where one is asked for.
	Object *ObjectDescription `json:"object,omitempty" doc:"What the object says of itself; only where one is asked for."`
}

// ObjectDescription is what an object says of itself.
type ObjectDescription struct {
	PatientID         string `json:"patient_id"`
	PatientName       string `json:"patient_name"`
	PatientBirthDate  string `json:"patient_birth_date"`
	AccessionNumber   string `json:"accession_number"`
	StudyInstanceUID  string `json:"study_instance_uid"`
	StudyDate         string `json:"study_date"`
	StudyDescription  string `json:"study_description"`
	SeriesInstanceUID string `json:"series_instance_uid"`
	Modality          string `json:"modality"`
}

// Release says where an object of the quarantine is sent to.
type Release struct {
	Destination string `json:"destination" minLength:"1" maxLength:"64" doc:"Name of a server."`
}

// ForeignObjects lists what came without having been asked for, the latest first.
func (c *Client) ForeignObjects(ctx context.Context) iter.Seq2[ForeignObjects, error] {
	return list[ForeignObjects](ctx, c, "/api/v1/foreign-objects", nil)
}

// Quarantine lists the quarantine, the latest first.
func (c *Client) Quarantine(ctx context.Context) iter.Seq2[QuarantinedObject, error] {
	return list[QuarantinedObject](ctx, c, "/api/v1/quarantine", nil)
}

// QuarantinedObject gives an object of the quarantine with what it says of itself.
func (c *Client) QuarantinedObject(ctx context.Context, id int64) (QuarantinedObject, error) {
	var o QuarantinedObject
	return o, c.do(ctx, get(fmt.Sprintf("/api/v1/quarantine/%d", id), nil), &o)
}

// DeleteQuarantined removes an object from the quarantine.
func (c *Client) DeleteQuarantined(ctx context.Context, id int64) error {
	return c.do(ctx, request{method: http.MethodDelete, path: fmt.Sprintf("/api/v1/quarantine/%d", id)}, nil)
}

// ReleaseQuarantined sends an object of the quarantine to a server, and removes it when the server has acknowledged it.
func (c *Client) ReleaseQuarantined(ctx context.Context, id int64, destination string) error {
	return c.do(ctx, request{method: http.MethodPost, path: fmt.Sprintf("/api/v1/quarantine/%d:release", id), body: Release{destination}}, nil)
}

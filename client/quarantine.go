// SPDX-License-Identifier: AGPL-3.0-or-later

package client

import (
	"context"
	"fmt"
	"iter"
	"net/http"
	"time"
)

// UnsolicitedInstances is how many objects of a class somebody sent on a day without having been asked. They were
// refused.
type UnsolicitedInstances struct {
	ID          int64     `json:"id" doc:"Number of the entry." example:"23"`
	Server      string    `json:"server" doc:"Name of the server that calls under this AE title; empty if there is none." example:"PACS"`
	CallingAE   string    `json:"calling_ae" doc:"AE title under which they were sent; empty where too many callers were counted together." example:"PACS"`
	Address     string    `json:"address" doc:"From which it called; the server's host where it sent the objects by C-GET." example:"192.0.2.7"`
	SOPClassUID string    `json:"sop_class_uid" doc:"\"not a UID\" for those whose SOP class or instance was named by none." example:"1.2.840.10008.5.1.4.1.1.2"`
	Instances   int64     `json:"instances" doc:"How many came on that day." example:"240"`
	Quarantined int64     `json:"quarantined" doc:"How many of them are or were in the quarantine." example:"10"`
	First       time.Time `json:"first" doc:"When the first of them came." example:"2026-11-23T08:15:30Z"`
	Last        time.Time `json:"last" doc:"When the last of them came." example:"2026-11-23T09:00:00Z"`
}

// QuarantinedObject is an object that nobody had asked for, and that is kept for people to look at.
type QuarantinedObject struct {
	ID                int64     `json:"id" doc:"Number of the instance in the quarantine." example:"31"`
	Server            string    `json:"server" doc:"Name of the server that calls under this AE title; empty if there is none." example:"PACS"`
	CallingAE         string    `json:"calling_ae" doc:"AE title under which it was sent." example:"PACS"`
	Address           string    `json:"address" doc:"Address from which it was sent." example:"192.0.2.7"`
	SOPClassUID       string    `json:"sop_class_uid" doc:"SOP Class UID, which says what kind of instance it is." example:"1.2.840.10008.5.1.4.1.1.2"`
	SOPInstanceUID    string    `json:"sop_instance_uid" doc:"SOP Instance UID, as the sender gave it." example:"1.2.826.0.1.3680043.8.498.1.2.3"`
	TransferSyntaxUID string    `json:"transfer_syntax_uid" doc:"Transfer Syntax UID, which says how it is encoded." example:"1.2.840.10008.1.2.1"`
	Bytes             int64     `json:"bytes" doc:"Size of the file." example:"524288"`
	ArrivedAt         time.Time `json:"arrived_at" doc:"When it came in." example:"2026-11-23T08:15:30Z"`
	Here              bool      `json:"here" doc:"Its file can be shown and released: the member of the cluster that keeps it is there."`
	// Object is what the object says of itself; only where one is asked for.
	Object *ObjectDescription `json:"object,omitempty" doc:"What the object says of itself; only where one is asked for."`
}

// ObjectDescription is what an object says of itself.
type ObjectDescription struct {
	PatientID         string `json:"patient_id" doc:"Patient ID (0010,0020); empty if it has none." example:"PHANTOM-001"`
	PatientName       string `json:"patient_name" doc:"Patient's Name (0010,0010), with ^ between its parts." example:"Phantom^One"`
	PatientBirthDate  string `json:"patient_birth_date" doc:"Patient's Birth Date (0010,0030), as YYYYMMDD; may be empty." example:"19700101"`
	AccessionNumber   string `json:"accession_number" doc:"Accession Number (0008,0050); may be empty." example:"A0001"`
	StudyInstanceUID  string `json:"study_instance_uid" doc:"Study Instance UID (0020,000D)." example:"1.2.826.0.1.3680043.8.498.1"`
	StudyDate         string `json:"study_date" doc:"Study Date (0008,0020), as YYYYMMDD; may be empty." example:"20261123"`
	StudyDescription  string `json:"study_description" doc:"Study Description (0008,1030); may be empty." example:"CT head"`
	SeriesInstanceUID string `json:"series_instance_uid" doc:"Series Instance UID (0020,000E)." example:"1.2.826.0.1.3680043.8.498.1.2"`
	Modality          string `json:"modality" doc:"Modality (0008,0060); may be empty." example:"CT"`
}

// Release says where an object of the quarantine is sent to.
type Release struct {
	Destination string `json:"destination" minLength:"1" maxLength:"64" doc:"Name of the server that it is sent to." example:"PACS"`
}

// Senders returns what came without having been asked for, the latest first.
func (c Quarantine) Senders(ctx context.Context) iter.Seq2[UnsolicitedInstances, error] {
	return list[UnsolicitedInstances](ctx, c.caller, "/api/v1/unsolicited-instances", nil)
}

// List returns the quarantine, the latest first.
func (c Quarantine) List(ctx context.Context) iter.Seq2[QuarantinedObject, error] {
	return list[QuarantinedObject](ctx, c.caller, "/api/v1/quarantine", nil)
}

// Get returns an object of the quarantine with what it says of itself.
func (c Quarantine) Get(ctx context.Context, id int64) (QuarantinedObject, error) {
	var o QuarantinedObject
	return o, c.do(ctx, get(fmt.Sprintf("/api/v1/quarantine/%d", id), nil), &o)
}

// Delete removes an object from the quarantine.
func (c Quarantine) Delete(ctx context.Context, id int64) error {
	return c.do(ctx, remove(fmt.Sprintf("/api/v1/quarantine/%d", id)), nil)
}

// Release sends an object of the quarantine to a server, and removes it when the server has acknowledged it.
func (c Quarantine) Release(ctx context.Context, id int64, destination string) error {
	return c.do(ctx, request{
		method: http.MethodPost, path: fmt.Sprintf("/api/v1/quarantine/%d:release", id),
		body: Release{destination},
	}, nil)
}

# SPDX-License-Identifier: AGPL-3.0-or-later
"""Makes a job by the client that was generated from the document, and follows it."""

import os
import time

from adit_client import AuthenticatedClient
from adit_client.api.jobs import create_job, get_job
from adit_client.api.tasks import list_tasks
from adit_client.models import JobStatus, NewJob, NewJobKind, NewStudy, Problem

adit = AuthenticatedClient(os.environ["ADIT_URL"], os.environ["ADIT_TOKEN"], prefix="Token")
new = NewJob(
    kind=NewJobKind.SELECTIVE_TRANSFER,
    source="PACS-A",
    destination="RESEARCH",
    studies=[NewStudy(study_instance_uid=os.environ["STUDY"])],
)
job = create_job.sync(client=adit, body=new)
while job.status in (JobStatus.PENDING, JobStatus.IN_PROGRESS, JobStatus.CANCELING):
    time.sleep(0.1)
    job = get_job.sync(job.id, client=adit)
print(job.status)
for task in list_tasks.sync(job.id, client=adit).items:
    print(task.study_instance_uid, task.status, task.delivered)

absent = get_job.sync(4711, client=adit)
assert isinstance(absent, Problem)
print(absent.status, absent.code)

new.studies[0].study_instance_uid = "no UID"
invalid = create_job.sync(client=adit, body=new)
assert isinstance(invalid, Problem)
print(invalid.status, invalid.code, invalid.errors[0].field.split("[")[0])

"""Two web processes on one home, as behind nginx: what is asked for at one is seen at the other, by the same names."""

import pytest
from chrome import served, settled

from cnnlab.jobs.queue import Queue

pytestmark = pytest.mark.browser

ASKED = {"dataset": "shapes", "depth": 1, "regularizer": "none"}


@pytest.mark.nightly
def test_a_training_asked_for_at_one_server_waits_at_another_for_its_requester(tmp_path, new_tab, monkeypatch):
    monkeypatch.setenv("CNNLAB_STARTS_DISPATCHER", "0")
    with served(tmp_path) as one, served(tmp_path) as other:
        mine, somebody = new_tab(), new_tab()
        for tab, app in ((mine, one), (somebody, other)):
            tab.goto(app.at(**ASKED))
            settled(tab)
        mine.get_by_role("button", name="Train it").click()
        for tab in (mine, somebody):
            tab.get_by_text("You may close this page: training continues without you.").wait_for()
        assert somebody.get_by_role("button", name="Leave the queue").count() == 0
        queue = Queue(tmp_path / "jobs.sqlite")
        assert [len(job.requesters) for job in queue.active()] == [1]

        mine.goto(other.at(**ASKED))
        mine.get_by_role("button", name="Leave the queue").click()
        for tab in (mine, somebody):
            tab.get_by_role("button", name="Train it").wait_for()
            tab.context.close()
        assert queue.active() == []
        queue.close()

"""The plan tab: what is asked is checked field by field, and the answer is that of the planner."""

import dataclasses

import pytest
from bokeh.document import Document
from panel.io.state import set_curdoc
from selenium.webdriver.common.keys import Keys

import jaxlimits as jl
from jaxlimits.explorer import plan_tab
from jaxlimits.explorer.app import LOOK
from jaxlimits.explorer.plan_question import Answered, Asked, answer, asked_of, problems_of
from jaxlimits.explorer.plan_tab import PlanTab
from jaxlimits.explorer.plan_texts import answered
from jaxlimits.explorer.session import Session
from jaxlimits.explorer.start import start

ASKED = Asked(
    llm="llama3-8b", chips=("h100",), rate="20 request/s", ttft="", tpot="10 ms/token", most="1"
)


@pytest.fixture(scope="module")
def found():
    return answer(ASKED)


def test_the_answer_is_the_planner_s_in_words_with_its_frontier(found):
    work = jl.Workload.of_lengths([(2000, 200)], rate="20 request/s")
    plan = jl.plan("llama3-8b", "h100", work, targets="tpot <= 10 ms/token", most=1)
    assert (found.plan.least, found.plan.choices) == (plan.least, plan.choices)
    page = answered(found)
    best = plan.choices[0]
    for words in (
        f"Least num_chips: {best.num_chips}; every schedule needs at least {plan.least:g}",
        f"Binds: {plan.binds}",
        '<th scope="col" class="number">request/s</th>',
        f'aria-label="Least num_chips over the target of the time of a token: {best.num_chips}',
        "Targets: mean tpot &lt;= 10 ms/token.",
        "--tensor-parallel-size 1",
    ):
        assert words in page
    assert page.count("<svg") == 1
    assert page.count('class="chosen"') == len(best.groups)
    assert "<" not in page.partition('aria-label="Least')[2].partition('"')[0]


def test_each_problem_stands_by_its_field():
    wrong = dataclasses.replace(
        ASKED, chips=(), rate="fast", input_len="0", ttft="20 ms/token", tpot="-1 s", most="0.5"
    )
    found = problems_of(wrong)
    assert set(found) == {"chips", "rate", "input_len", "ttft", "tpot", "most"}
    assert found["chips"] == "chips: names no chip; choose one or more"
    assert "write a whole number from 1 to 512" in found["most"]
    assert answer(wrong).problems == found
    assert problems_of(ASKED) == {}
    unknown = answer(dataclasses.replace(ASKED, llm="llama3-9b"))
    assert "did you mean llama3-8b" in unknown.problems["llm"]
    assert unknown.plan is None


def test_the_form_begins_with_what_is_explored():
    session = Session(start())
    session.set("a", "weight_bits", "8")
    session.set("a", "input_len", "4096")
    asked = asked_of(session.state)
    assert (asked.llm, asked.chips) == ("llama3-405b", ("h200", "b200"))
    assert (asked.weight_bits, asked.input_len, asked.output_len) == ("8", "4096", "200")
    with set_curdoc(Document()):
        tab = PlanTab(session, (), lambda act: act(), LOOK)
        tab.open()
        assert tab.asked() == asked
    session.compare(None)
    assert asked_of(session.state).chips == ("h200",)


def test_an_old_answer_is_dropped_and_a_failure_is_said(monkeypatch, caplog):
    with set_curdoc(Document()):
        tab = PlanTab(Session(start()), (), lambda act: act(), LOOK)
        tab.open()
        monkeypatch.setattr(
            plan_tab, "answer", lambda *_: Answered(problems={"rate": "too <fast>"})
        )
        tab.compute().result(20.0)
        assert "too &lt;fast&gt;" in tab.notes["rate"].object
        assert not tab.button.disabled
        tab.show(0, Answered(problems={"": "old"}))
        assert tab.rest.object == ""
        monkeypatch.setattr(plan_tab, "answer", lambda *_: 1 / 0)
        tab.compute().result(20.0)
        assert "the plan could not be computed: division by zero" in tab.rest.object
        assert "the plan could not be computed" in caplog.text


def test_a_plan_is_asked_for_by_its_button_alone(browser, running, found, monkeypatch):
    asked = []

    def told(question, _):
        asked.append(question)
        return found if question.rate == "20 request/s" else answer(question)

    monkeypatch.setattr(plan_tab, "answer", told)
    browser.problems()
    page = browser.open(f"{running.url}#plan")
    page.wait(lambda page: page.all(".plan-rate"))
    page.driver.find_element("id", "tab-plan").send_keys(Keys.ARROW_LEFT)
    page.loaded()
    assert not page.driver.find_element("id", "panel-plan").is_displayed()
    page.driver.find_element("id", "tab-point").send_keys(Keys.ARROW_RIGHT)
    inside = "return arguments[0].shadowRoot.querySelector(arguments[1])"

    page.wait(lambda page: page.all(".plan-rate"))
    assert page.driver.current_url.endswith("#plan")

    def rate(text):
        box = page.driver.execute_script(inside, page.all(".plan-rate")[0], "input")
        box.clear()
        box.send_keys(text, Keys.ENTER)

    def press():
        button = page.driver.execute_script(inside, page.all(".plan-now")[0], "button")
        page.wait(lambda _: button.is_enabled())
        button.click()

    rate("fast")
    press()
    (note,) = page.wait(lambda page: page.text(".cell-rate") and page.all("[role=alert]"))
    assert "fast" in note.text
    assert not page.all(".choices")
    rate("20 request/s")
    press()
    page.wait(lambda page: page.all(".choices"))
    assert page.all("[role=alert]") == []
    assert page.all("figure.drawn svg")
    assert [question.rate for question in asked] == ["fast", "20 request/s"]
    page.driver.find_element("id", "tab-point").click()
    assert page.wait(lambda page: page.driver.find_element("id", "panel-point").is_displayed())
    assert browser.problems() == []

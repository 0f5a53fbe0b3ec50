//! Rules for cases that their types do not express.

use serde_saphyr::{Location, Spanned};

use super::format::{Case, Expect, FailureKind, Reply, Step};

type LocatedProblem = (Location, String);

/// Checks that the parts of a case can be used together. An error is the place and the problem.
pub fn check(case: &Case, location: Location) -> Result<(), LocatedProblem> {
    let ensure = |is_valid: bool, problem: &str| ensure(is_valid, location, problem);
    let has_request = case.request.is_some();
    ensure(
        case.configuration_base64.is_none() || case.configuration == Default::default(),
        "a case cannot have both configuration and configuration_base64; remove one of them",
    )?;
    ensure(
        !(has_request && case.steps.is_some()),
        "a case cannot have both request and steps; move the request into the steps",
    )?;
    ensure(
        has_request || (case.upstream.is_none() && case.meanwhile.is_empty()),
        "the keys upstream and meanwhile belong to a request; add request: {}, or move them into a step",
    )?;
    check_upstream(case.upstream.as_ref(), location)?;
    check_steps(&case.meanwhile)?;
    check_steps(case.steps())?;
    if let Some(expect) = &case.expect {
        ensure(
            expect.rejected.is_none() || (!has_request && case.steps.is_none()),
            "if the configuration is rejected, there are no requests; remove request, steps or rejected",
        )?;
        let problem = if case.steps.is_some() {
            "response, upstream_request, forwarded, held, reset and fuel_at_most belong to a request; move them into its step"
        } else {
            "response, upstream_request, forwarded, held, reset and fuel_at_most belong to a request; add request: {}"
        };
        ensure(has_request || !concerns_a_request(expect), problem)?;
    }
    Ok(())
}

fn check_steps(steps: &[Spanned<Step>]) -> Result<(), LocatedProblem> {
    for Spanned {
        value: step,
        referenced,
        ..
    } in steps
    {
        check_step(step, *referenced)?;
    }
    Ok(())
}

fn check_step(step: &Step, location: Location) -> Result<(), LocatedProblem> {
    let ensure = |is_valid: bool, problem: &str| ensure(is_valid, location, problem);
    let has_request = step.request.is_some();
    let actions = [
        has_request,
        step.configure.is_some(),
        step.advance.is_some(),
    ];
    ensure(
        actions.iter().filter(|is_given| **is_given).count() == 1,
        "a step must have exactly one of request, configure and advance; split the step, or add one",
    )?;
    ensure(
        has_request || (step.upstream.is_none() && step.meanwhile.is_empty()),
        "the keys upstream and meanwhile belong to a request; move them to its step",
    )?;
    check_upstream(step.upstream.as_ref(), location)?;
    check_steps(&step.meanwhile)?;
    if let Some(expect) = &step.expect {
        ensure(
            expect.rejected.is_none() || step.configure.is_some(),
            "only a step with the key configure can have expect.rejected; remove it",
        )?;
        ensure(
            has_request || !concerns_a_request(expect),
            "response, upstream_request, forwarded, held, reset and fuel_at_most belong to a request; move them to its step",
        )?;
    }
    Ok(())
}

fn check_upstream(upstream: Option<&Reply>, location: Location) -> Result<(), LocatedProblem> {
    ensure(
        upstream.is_none_or(|reply| reply.failure != Some(FailureKind::Timeout)),
        location,
        "failure: timeout is only for calls, because an extension does not set the timeout of the \
         upstream; write failure: reset",
    )
}

fn concerns_a_request(expect: &Expect) -> bool {
    expect.response.is_some()
        || expect.upstream_request.is_some()
        || expect.forwarded.is_some()
        || expect.held.is_some()
        || expect.reset.is_some()
        || expect.fuel_at_most.is_some()
}

fn ensure(is_valid: bool, location: Location, problem: &str) -> Result<(), LocatedProblem> {
    if is_valid {
        return Ok(());
    }
    Err((location, problem.to_owned()))
}

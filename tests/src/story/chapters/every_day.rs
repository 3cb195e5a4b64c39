//! What happens in a company every day.

use anyhow::{Context, Result, ensure};

use super::super::Stage;
use super::super::stage::ready;
use super::first_load::plan;
use super::install::group_dn;
use crate::peers::company::Person;

/// Somebody starts, somebody is called differently, somebody leaves.
pub(in super::super) async fn a_monday_morning(stage: &mut Stage<'_>) -> Result<()> {
    stage.narrator.chapter("Monday: a hire, a rename, a leaver");
    let engineering = group_dn("Engineering");
    let hire = Person::new("Amélie", "Schröder", "Engineering", 201);
    let renamed = stage.company.person("priya.weiss").context("nobody is called Priya Weiß")?.clone();
    let leaver = stage.company.person("zofie.zimmermann").context("nobody is called Žofie Zimmermann")?.clone();
    let address = |person: &Person| person.mail.clone().context("a person without an address");
    let (hired, before, gone) = (address(&hire)?, address(&renamed)?, address(&leaver)?);
    let now = "priya.sommer@example.com";
    let account = stage.scim_user(&before).await?.context("no account to be renamed")?;

    stage.narrator.say(&format!("{} starts in Engineering,", hire.display_name()));
    stage
        .change_directory(&format!(
            "dn: {0}\nobjectClass: inetOrgPerson\nobjectClass: mailRecipient\nuid: {1}\ncn: {2}\ngivenName: {3}\nsn: {4}\n\
             mail: {hired}\nou: {5}\ntitle: {6}\ntelephoneNumber: +49 30 5550 1201\nemployeeType: employee\n\n\
             dn: {engineering}\nchangetype: modify\nadd: member\nmember: {0}\n",
            hire.dn(),
            hire.uid,
            hire.display_name(),
            hire.given_name,
            hire.family_name,
            hire.department,
            hire.title
        ))
        .await?;
    stage.narrator.say(&format!("{} marries and keeps the old address as an alias,", renamed.display_name()));
    stage
        .change_directory(&format!(
            "dn: {}\nchangetype: modify\nreplace: sn\nsn: Sommer\n-\nreplace: cn\ncn: Priya Sommer\n-\n\
             replace: mail\nmail: {now}\n-\nadd: mailAlternateAddress\nmailAlternateAddress: {before}\n",
            renamed.dn()
        ))
        .await?;
    stage.narrator.say(&format!("and {} leaves.", leaver.display_name()));
    stage
        .change_directory(&format!(
            "dn: {}\nchangetype: delete\n\ndn: {engineering}\nchangetype: modify\ndelete: member\nmember: {}\n",
            leaver.dn(),
            leaver.dn()
        ))
        .await?;

    stage.narrator.say("The next run is due by the schedule; an annotation asks for one now.");
    let sync = stage.run_now().await?;
    let applied = sync.status.as_ref().and_then(|status| status.last_applied.as_ref()).context("nothing was sent")?;
    ensure!(applied.failed == 0 && applied.approval.is_none(), "it was not sent by itself: {applied:#?}");
    ensure!(ready(&sync).is_some_and(|ready| ready.reason == "Succeeded"), "something waits: {:#?}", plan(&sync)?.held);
    stage.narrator.say("It is within the limits, so nobody had to be asked. What was planned and sent:");
    let changes = stage.show_changes("*", "{.verb} {.subject} {.detail} ({.reason})").await?;
    ensure!(changes.contains("SuspendUser") && changes.contains("GoneFromSource"), "no leaver in:\n{changes}");

    stage.narrator.say("The hire has an account:");
    let fields = ["id", "userName", "displayName", "active"];
    let found = stage.show_scim(&format!("Users?filter=userName eq \"{hired}\""), &fields).await?;
    ensure!(found.len() == 1, "the hire has no account");
    stage.narrator.say(
        "The renamed colleague has the same account as before, with a new name and address: people are known by the \
         immutable id that the directory gives them, not by their address.",
    );
    let found = stage.show_scim(&format!("Users?filter=userName eq \"{now}\""), &fields).await?;
    let found = found.first().context("the renamed colleague has no account")?;
    ensure!(found["id"] == account["id"] && found["displayName"] == "Priya Sommer", "another account: {found}");
    ensure!(found["emails"].to_string().contains(&before), "the old address is lost: {found}");
    stage.narrator.say(
        "The leaver cannot sign in any more, but the account and its data are there for another 30 days \
         (removal.deleteAfter). Before it was suspended the operator looked this one person up in the directory again, \
         by id and without the filter: gone, not just missing from a list.",
    );
    let found = stage.show_scim(&format!("Users?filter=userName eq \"{gone}\""), &fields).await?;
    ensure!(found.first().is_some_and(|user| user["active"] == false), "the leaver is not suspended: {found:?}");
    Ok(())
}

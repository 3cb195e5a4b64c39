//! The stored plan: gzip of JSON lines, a header and one line per operation. What is stored, shown and approved is
//! this one document.

use super::digest::of_plan;
use super::{Described, Digest, PlanCounts, Summary, Warning};
use crate::gate::{Hold, Judgement, Waiting};
use crate::operation::Operation;
use crate::rules::{Adoption, ApprovalMode, Limits, Removal, Rules};
use flate2::{Compression, read::GzDecoder, write::GzEncoder};
use std::io::{self, BufRead, BufReader, Read, Write};

/// Version of the format.
pub const DOCUMENT_VERSION: u32 = 1;

/// Most bytes of one part of a stored plan, before base64.
pub const PART_BYTES: usize = 512 * 1024;

/// Most bytes of one line: a person with all attributes, old and new.
const LINE_LIMIT: u64 = 8 * 1024 * 1024;

/// Most bytes that a stored plan may unpack to.
const UNPACKED_LIMIT: u64 = 2 * 1024 * 1024 * 1024;

/// The rules that were in force when a plan was judged.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct EffectiveRules {
    /// Number of exclusions, both sides together.
    pub exclusions: usize,
    /// Number of protections.
    pub protected: usize,
    /// Limits.
    pub limits: Limits,
    /// Who is taken over.
    pub adoption: Adoption,
    /// What becomes of those the source no longer has.
    pub removal: Removal,
    /// Whether plans need an approval.
    pub approval: ApprovalMode,
    /// Whether anything is sent at all.
    pub apply: bool,
    /// Domains that addresses are expected in; none: any.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub domains: Vec<String>,
}

impl EffectiveRules {
    /// Those of a resource.
    pub fn of(rules: &Rules) -> Self {
        Self {
            exclusions: rules.exclude_source.len() + rules.exclude_target.len(),
            protected: rules.protect.len(),
            limits: rules.limits,
            adoption: rules.adoption,
            removal: rules.removal,
            approval: rules.approval,
            apply: rules.apply,
            domains: rules.accepted_domains.clone(),
        }
    }
}

/// The first line of a stored plan.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Header {
    /// Version of the format.
    pub version: u32,
    /// Name of the plan by its content.
    pub digest: Digest,
    /// Which target it is for.
    pub target: String,
    /// What it was made from.
    pub counts: PlanCounts,
    /// How many changes of which kind.
    pub summary: Summary,
    /// The rules in force.
    pub rules: EffectiveRules,
    /// What a person should know.
    pub warnings: Vec<Warning>,
    /// Why it waits.
    pub holds: Vec<Hold>,
    /// How many operations the plan has.
    pub operations: u64,
    /// Whether all of them follow. Otherwise the most dangerous ones do, as many as there was room for.
    #[serde(default = "is_complete")]
    pub complete: bool,
}

/// A header that says nothing else is that of a whole plan.
const fn is_complete() -> bool {
    true
}

/// One further line of a stored plan.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Line {
    /// Name of the operation by its content.
    pub digest: Digest,
    /// The operation in words.
    #[serde(flatten)]
    pub operation: Described,
    /// Why it waits; absent: it was approved.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub waiting: Option<Waiting>,
}

/// A plan as it is stored and shown.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct PlanDocument {
    /// What holds for the whole plan.
    pub header: Header,
    /// The operations, in sending order.
    pub operations: Vec<Line>,
}

/// Why bytes are no stored plan.
#[derive(Debug, thiserror::Error)]
pub enum DocumentError {
    /// They are damaged, or no plan at all.
    #[error("the stored plan cannot be read: {0}")]
    Damaged(&'static str),
    /// It was written by another version.
    #[error("the stored plan has version {found}, and this operator reads version {DOCUMENT_VERSION}")]
    Version {
        /// Version of the stored plan.
        found: u32,
    },
    /// It is larger than any plan of ours.
    #[error("the stored plan unpacks to more than any plan may")]
    TooLarge,
}

fn header(judgement: &Judgement<'_>, rules: &Rules) -> Header {
    let plan = judgement.plan();
    Header {
        version: DOCUMENT_VERSION,
        digest: plan.digest(),
        target: plan.plan().capabilities().target.clone(),
        counts: plan.counts(),
        summary: plan.summary(),
        rules: EffectiveRules::of(rules),
        warnings: plan.warnings().iter().cloned().collect(),
        holds: judgement.holds().to_vec(),
        operations: plan.operations().len() as u64,
        complete: true,
    }
}

fn line(judgement: &Judgement<'_>, position: usize, operation: Operation, digest: Digest) -> Line {
    let operation = judgement.plan().plan().describe(operation);
    Line { digest, operation, waiting: judgement.waiting(position) }
}

fn lines<'j>(judgement: &'j Judgement<'_>) -> impl Iterator<Item = Line> + 'j {
    let plan = judgement.plan();
    let operations = plan.operations().iter().zip(plan.operation_digests()).enumerate();
    operations.map(move |(position, (&operation, &digest))| line(judgement, position, operation, digest))
}

fn write_line(out: &mut impl Write, line: &impl serde::Serialize) -> io::Result<()> {
    serde_json::to_writer(&mut *out, line)?;
    out.write_all(b"\n")
}

/// Writes a judged plan, packed, without holding it in memory. The same plan gives the same bytes.
pub fn write(judgement: &Judgement<'_>, rules: &Rules, out: impl Write) -> io::Result<()> {
    let mut out = GzEncoder::new(out, Compression::default());
    write_line(&mut out, &header(judgement, rules))?;
    for line in lines(judgement) {
        write_line(&mut out, &line)?;
    }
    out.finish()?.flush()
}

/// Packs a judged plan and cuts it into parts of at most [`PART_BYTES`]. `None`: it needs more than `cap` bytes, so that
/// it cannot be stored whole.
pub fn parts(judgement: &Judgement<'_>, rules: &Rules, cap: usize) -> io::Result<Option<Vec<Vec<u8>>>> {
    let mut packed = Capped { bytes: Vec::new(), cap };
    match write(judgement, rules, &mut packed) {
        Ok(()) => Ok(Some(packed.bytes.chunks(PART_BYTES).map(<[u8]>::to_vec).collect())),
        Err(_) if packed.is_full() => Ok(None),
        Err(error) => Err(error),
    }
}

/// What the packer may hold back of the lines written into it, packed.
const HELD_BACK: usize = 256 * 1024;

/// Packs as much of a judged plan as fits into `cap` bytes, for a plan that [`parts`] finds too large: its header, and
/// the most dangerous operations.
pub fn parts_that_fit(judgement: &Judgement<'_>, rules: &Rules, cap: usize) -> io::Result<Vec<Vec<u8>>> {
    let mut out = GzEncoder::new(Vec::new(), Compression::default());
    write_line(&mut out, &Header { complete: false, ..header(judgement, rules) })?;
    let digests = judgement.plan().operation_digests();
    for (position, operation) in judgement.sample(usize::MAX) {
        if out.get_ref().len() + HELD_BACK > cap {
            break;
        }
        if let Some(&digest) = digests.get(position) {
            write_line(&mut out, &line(judgement, position, operation, digest))?;
        }
    }
    Ok(out.finish()?.chunks(PART_BYTES).map(<[u8]>::to_vec).collect())
}

/// Bytes up to a cap; more is an error, after which it is full.
struct Capped {
    bytes: Vec<u8>,
    cap: usize,
}

impl Capped {
    fn is_full(&self) -> bool {
        self.bytes.len() > self.cap
    }
}

impl Write for &mut Capped {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.bytes.extend_from_slice(bytes);
        if self.is_full() { Err(io::ErrorKind::StorageFull.into()) } else { Ok(bytes.len()) }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl PlanDocument {
    /// The document of a judged plan.
    pub fn of(judgement: &Judgement<'_>, rules: &Rules) -> Self {
        Self { header: header(judgement, rules), operations: lines(judgement).collect() }
    }

    /// Reads a packed plan: the parts, joined.
    pub fn read(input: impl Read) -> Result<Self, DocumentError> {
        let mut input = BufReader::new(GzDecoder::new(input).take(UNPACKED_LIMIT));
        let mut buffer = String::new();
        let header: Header = parse(&mut input, &mut buffer)?;
        if header.version != DOCUMENT_VERSION {
            return Err(DocumentError::Version { found: header.version });
        }
        let mut operations = Vec::new();
        for _ in 0..header.operations {
            let at_end = input.fill_buf().map_err(|_| DocumentError::Damaged("it cannot be unpacked"))?.is_empty();
            if at_end && !header.complete {
                break;
            }
            operations.push(parse(&mut input, &mut buffer)?);
        }
        let document = Self { header, operations };
        let digests: Vec<_> = document.operations.iter().map(|line| line.digest).collect();
        if document.header.complete && of_plan(&document.header.target, &digests) != document.header.digest {
            return Err(DocumentError::Damaged("its changes are not those that its digest names"));
        }
        Ok(document)
    }

    /// The digests of the operations, as an approval needs them. Not all of them if the document is not complete.
    pub fn operation_digests(&self) -> std::collections::HashSet<Digest> {
        self.operations.iter().map(|line| line.digest).collect()
    }
}

fn parse<T: serde::de::DeserializeOwned>(input: &mut impl BufRead, buffer: &mut String) -> Result<T, DocumentError> {
    buffer.clear();
    let read = input.take(LINE_LIMIT).read_line(buffer).map_err(|_| DocumentError::Damaged("it cannot be unpacked"))?;
    if !buffer.ends_with('\n') {
        return Err(if read as u64 == LINE_LIMIT {
            DocumentError::TooLarge
        } else {
            DocumentError::Damaged("it ends too early")
        });
    }
    serde_json::from_str(buffer).map_err(|_| DocumentError::Damaged("a line is not what was written"))
}

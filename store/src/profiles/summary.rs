//! The summary of a profile, and the names of its workload.

use capprof_profile::CapabilitySet;
use capprof_profile::observation::ProgramExit;
use capprof_profile::profile::Profile;
use capprof_profile::recording::Workload;
use capprof_profile::verification::Verdict;
use serde::{Deserialize, Serialize};

/// The summary of a profile that `list` shows.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Summary {
    /// See `Profile::schema`.
    pub schema: String,
    /// See `Profile::recording_id`.
    pub recording_id: String,
    /// See `Profile::container_id`.
    pub container_id: String,
    /// See `Profile::name`.
    pub name: Option<String>,
    /// See `Profile::workload`.
    pub workload: Workload,
    /// See `Profile::finished`.
    pub finished: String,
    /// See `Profile::complete`.
    pub complete: bool,
    /// See `Profile::minimized`.
    pub minimized: CapabilitySet,
    /// See [`Profile::answer`].
    #[serde(default)]
    pub answer: CapabilitySet,
    /// See `Profile::exit`.
    #[serde(default)]
    pub exit: Option<ProgramExit>,
    /// See `Profile::verification`.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub verification: Option<VerificationSummary>,
}

/// The part of a summary that comes from a [`capprof_profile::verification::Verification`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct VerificationSummary {
    /// The verdict.
    pub verdict: Verdict,
    /// The date.
    pub date: String,
}

impl From<Profile> for Summary {
    fn from(profile: Profile) -> Self {
        let answer = profile.answer().0;
        Self {
            schema: profile.schema,
            recording_id: profile.origin.recording_id,
            container_id: profile.origin.container_id,
            name: profile.origin.name,
            workload: profile.origin.workload,
            finished: profile.origin.finished,
            complete: profile.complete,
            minimized: profile.findings.minimized,
            answer,
            exit: profile.exit,
            // A verdict on another set says nothing about this one.
            verification: profile
                .verification
                .filter(|verification| verification.sets.bounding == answer)
                .map(|verification| VerificationSummary {
                    verdict: verification.verdict,
                    date: verification.date,
                }),
        }
    }
}

impl Summary {
    /// Returns true if this is a name of the workload: of the annotation, the container in its pod, the pod, the image, or the compose service.
    pub(super) fn is_called(&self, wanted: &str) -> bool {
        [
            &self.name,
            &self.workload.container,
            &self.workload.pod,
            &self.workload.image,
            &self.workload.service,
        ]
        .into_iter()
        .any(|name| name.as_deref() == Some(wanted))
    }

    /// Returns true if it is worth reading the whole profile to see if it is of the same workload ([`Profile::is_of_workload`]).
    pub(super) fn may_be_of_workload(&self, profile: &Profile) -> bool {
        let origin = &profile.origin;
        match (&self.workload.image, &origin.workload.image) {
            (Some(_), Some(_)) => self.workload.is_of_image(&origin.workload),
            (None, None) => {
                self.container_id == origin.container_id
                    || (self.name.is_some() && self.name == origin.name)
            }
            _ => false,
        }
    }

    /// Returns texts of which every summary contains one that [may be of this profile's workload](Self::may_be_of_workload).
    pub(super) fn texts_of_workload(profile: &Profile) -> Vec<&str> {
        let origin = &profile.origin;
        match &origin.workload.image {
            Some(image) => {
                let image = Self::text_of_answer(image);
                vec![image.rsplit('/').next().unwrap_or(image)]
            }
            None => std::iter::once(origin.container_id.as_str())
                .chain(origin.name.as_deref())
                .collect(),
        }
    }

    /// Returns a text that every summary contains which [answers to](Self::answers_to) this name.
    pub(super) fn text_of_answer(wanted: &str) -> &str {
        let name = familiar(wanted);
        name.strip_suffix(":latest").unwrap_or(name)
    }

    /// Returns true if this name may mean the workload: its container's id, one of its names, or its image. The image's registry and tag may be
    /// left out, `nginx` for `docker.io/library/nginx:latest`.
    pub fn answers_to(&self, wanted: &str) -> bool {
        self.container_id == wanted || self.is_called(wanted) || self.is_of_image(wanted)
    }

    /// Returns true if the name may mean the workload's image, by the rule of [`answers_to()`](Self::answers_to).
    pub fn is_of_image(&self, wanted: &str) -> bool {
        let image = self.workload.image.as_deref();
        image.is_some_and(|image| is_image(image, wanted))
    }
}

/// Returns a text that is the same for all profiles of a workload: name, image, container in the pod, command, user, and the engine's grants. A
/// container without image and name is a workload of its own. [`Profile::is_of_workload`] is true of two profiles with the same text.
pub(super) fn workload(profile: &Profile) -> String {
    let origin = &profile.origin;
    let workload = &origin.workload;
    // docker and podman make up a name for each container.
    let container = workload.pod.as_ref().and(workload.container.as_ref());
    let own = match (&origin.name, &workload.image) {
        (None, None) => Some(&origin.container_id),
        _ => None,
    };
    let parts = (
        &origin.name,
        &workload.image,
        container,
        &origin.process,
        &profile.conditions.original,
        own,
    );
    format!("{parts:?}")
}

/// Returns true if the name, which may lack the default registry and the tag, means the image. If it has a tag, that must be the image's.
fn is_image(image: &str, wanted: &str) -> bool {
    let (image, wanted) = (familiar(image), familiar(wanted));
    match image.strip_prefix(wanted) {
        // A path follows a port; nothing follows a tag.
        Some(rest) => rest.is_empty() || (rest.starts_with([':', '@']) && !rest.contains('/')),
        // An image without a tag is `latest`.
        None => wanted.strip_suffix(":latest") == Some(image),
    }
}

/// Returns a reference without docker's default registry and name space (distribution's `reference.FamiliarString`).
fn familiar(reference: &str) -> &str {
    let path = reference.strip_prefix("docker.io/").unwrap_or(reference);
    path.strip_prefix("library/").unwrap_or(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_image_may_be_named_in_short() {
        for (image, wanted, meant) in [
            ("docker.io/library/nginx:latest", "nginx", true),
            ("docker.io/library/nginx:latest", "nginx:latest", true),
            ("docker.io/library/nginx:latest", "library/nginx", true),
            ("docker.io/library/nginx:latest", "nginx:1.27", false),
            ("docker.io/library/nginx:latest", "ngin", false),
            ("nginx", "nginx:latest", true),
            ("nginx", "docker.io/library/nginx:latest", true),
            ("nginx", "nginx:1.27", false),
            ("docker.io/bitnami/nginx:1", "nginx", false),
            ("docker.io/bitnami/nginx:1", "bitnami/nginx", true),
            ("quay.io/x/y@sha256:0", "quay.io/x/y", true),
            ("quay.io/x/y@sha256:0", "x/y", false),
            ("quay.io:443/x/y", "quay.io", false),
        ] {
            assert_eq!(is_image(image, wanted), meant, "{image} {wanted}");
        }
    }
}

// Ignore the second click of a double click, which would submit the form again.
let lastSubmission = -Infinity;

document.addEventListener("submit", (event) => {
  if (event.timeStamp - lastSubmission < 1000) {
    event.preventDefault();
  } else {
    lastSubmission = event.timeStamp;
  }
});

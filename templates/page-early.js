// Runs before anything is shown: the colours that were chosen last time, and a sign that scripts run.
document.documentElement.classList.add("scripted");
try {
  const chosen = localStorage.getItem("symbackprop-theme");
  if (chosen === "light" || chosen === "dark") document.documentElement.dataset.theme = chosen;
} catch (error) { /* a browser that keeps nothing for files */ }

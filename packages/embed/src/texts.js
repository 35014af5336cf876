// The texts of the element, with the same terms as the service's pages.

export const NAMES = ["title", "loading", "sign-in", "error", "request-id", "sign-in-button", "error-button", "open-button"];

export const TEXTS = {
  en: [
    "Integrations",
    "Loading…",
    "You’re not signed in. Sign in to continue.",
    "The integrations couldn’t be loaded.",
    "Request ID",
    "Sign in",
    "Try again",
    "Open integrations",
  ],
  de: [
    "Integrationen",
    "Wird geladen …",
    "Sie sind nicht angemeldet. Melden Sie sich an, um fortzufahren.",
    "Die Integrationen konnten nicht geladen werden.",
    "Anfrage-ID",
    "Anmelden",
    "Erneut versuchen",
    "Integrationen öffnen",
  ],
  fr: [
    "Intégrations",
    "Chargement…",
    "Aucune session active. Connectez-vous pour continuer.",
    "Le catalogue d’intégrations n’a pas pu être chargé.",
    "ID de la requête",
    "Se connecter",
    "Réessayer",
    "Ouvrir le catalogue d’intégrations",
  ],
  es: [
    "Integraciones",
    "Cargando…",
    "No ha iniciado sesión. Inicie sesión para continuar.",
    "No se pudo cargar el catálogo de integraciones.",
    "ID de solicitud",
    "Iniciar sesión",
    "Reintentar",
    "Abrir el catálogo de integraciones",
  ],
};

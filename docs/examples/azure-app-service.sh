az webapp config storage-account add --resource-group rg --name sso \
  --custom-id sso --storage-type AzureFiles --account-name ACCOUNT --share-name sso \
  --access-key KEY --mount-path /mnt/sso
az webapp config appsettings set --resource-group rg --name sso \
  --settings WEBSITES_PORT=8080 SSO_CONFIG=/mnt/sso/azure-app-service.toml
az webapp auth update --resource-group rg --name sso \
  --enabled true --unauthenticated-client-action AllowAnonymous
az webapp update --resource-group rg --name sso --https-only true
